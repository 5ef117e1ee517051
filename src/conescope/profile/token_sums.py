"""Hidden states of many batches -> the sums that the token views of one layer are made of.

Everything is summed by group of texts, so that each group can be left out later. Memory does not grow with
the inputs; nothing loops over tokens.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from conescope._types import Points
from conescope.capture import Spot
from conescope.measures.directions import directions
from conescope.profile.gathering import check_states
from conescope.profile.token_plan import GROUPS, OCCURRENCES, TokenPlan

ROUNDING = 64 * torch.finfo(torch.float64).eps  # a mean shorter than this share of its points is none


class TokenSums:
    """The sums of one layer, float64 on the device of its hidden states; names end in what they sum over.

    A text counts by its number modulo `GROUPS`. `tensors` are all of them by name, for keeping: of random
    tokens (one a text), of the chosen types (their first occurrence in each text), of texts, and of all
    tokens of each frequency bin. `bin_squares` has the squared length of the sum of directions of each text,
    and `bin_pairs` its squared number of directions: what pairs within one text contribute.
    """

    def __init__(self, plan: TokenPlan, spot: Spot) -> None:
        self.plan = plan
        self.spot = spot
        self.d = spot.d
        self.positions_differ = False
        self.tensors: dict[str, Tensor] = {}

    def add(
        self,
        states: Float[Tensor, "batch tokens d"],
        kept: Bool[Tensor, "batch own"] | None,
        ids: Int64[Tensor, "batch own"] | None,
        numbers: Sequence[int],
    ) -> None:
        """Take the hidden states of a batch: which of its tokens count, their types, and which texts.

        Raises:
            ValueError: naming a text with a token whose hidden state is not finite.
        """
        if kept is None or ids is None or kept.shape != states.shape[:2]:
            self.positions_differ = True
            return
        states = states.detach()
        if not self.tensors:
            self.plan = self.plan.to(states.device)
            self.tensors = _nothing(self.plan, self.d, states)
        row, place = kept.to(states.device).nonzero(as_tuple=True)
        points = states[row, place].double()
        texts = torch.tensor(numbers, device=states.device)
        check_states(points, texts[row], self.spot)
        units, found = directions(points)
        types = ids.to(states.device)[row, place]
        self._add_random(points, units, found, row, texts)
        self._add_types(points, units, found, row, types, texts)
        lengths = torch.linalg.vector_norm(points, dim=1)
        self._add_texts(points, units, found, lengths, row, texts)
        self._add_bins(points, units, found, lengths, row, types, texts)

    def load(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        """Go on from the tensors of an earlier run; none of them where it had seen nothing."""
        self.plan = self.plan.to(device)
        self.tensors = {name: value.to(device) for name, value in tensors.items()}

    def _add_random(self, points: Points, units: Points, found: Tensor, row: Tensor, texts: Tensor) -> None:
        sizes = torch.bincount(row, minlength=len(texts))
        some = sizes > 0
        pick = torch.minimum((self.plan.draws[texts] * sizes).long(), sizes - 1)
        index = (sizes.cumsum(0) - sizes + pick)[some]
        group = texts[some] % GROUPS
        self.tensors["random_units"].index_add_(0, group, units[index])
        self.tensors["random_squares"].index_add_(0, group, units[index].square())
        self.tensors["random_count"].index_add_(0, group, found[index].long())
        rows = self.plan.random_rows[texts[some]]
        self._hold("random", rows[rows >= 0], points[index][rows >= 0], group[rows >= 0])

    def _add_types(
        self, points: Points, units: Points, found: Tensor, row: Tensor, types: Tensor, texts: Tensor
    ) -> None:
        count = len(self.plan.types)
        slot = self.plan.slot_of[types]
        mine = (slot >= 0).nonzero()[:, 0]
        if not len(mine):
            return
        key = row[mine] * count + slot[mine]
        first = torch.full((len(texts) * count,), len(row), device=key.device)
        first.scatter_reduce_(0, key, mine, "amin")
        index = first[first < len(row)]
        owner, slot = texts[row[index]], slot[index]
        place = slot * GROUPS + owner % GROUPS
        self.tensors["type_units"].view(-1, self.d).index_add_(0, place, units[index])
        self.tensors["type_count"].view(-1).index_add_(0, place, found[index].long())
        if not len(self.plan.held):
            return
        wanted = owner * count + slot
        at = torch.searchsorted(self.plan.held, wanted).clamp(max=len(self.plan.held) - 1)
        hit = self.plan.held[at] == wanted
        self._hold("varied", self.plan.rows[at[hit]], points[index[hit]], owner[hit] % GROUPS)

    def _hold(self, name: str, rows: Tensor, points: Points, group: Tensor) -> None:
        self.tensors[f"{name}_points"][rows] = points.to(self.tensors[f"{name}_points"].dtype)
        self.tensors[f"{name}_group"][rows] = group

    def _add_texts(
        self, points: Points, units: Points, found: Tensor, lengths: Tensor, row: Tensor, texts: Tensor
    ) -> None:
        nothing = points.new_zeros(len(texts), self.d)
        total, directed = nothing.index_add(0, row, points), nothing.index_add(0, row, units)
        counts = torch.bincount(row[found], minlength=len(texts))
        size = torch.linalg.vector_norm(total, dim=1)
        some = size > ROUNDING * points.new_zeros(len(texts)).index_add(0, row, lengths)
        similar = (directed * total).sum(dim=1)[some] / (counts[some] * size[some])
        group = texts[some] % GROUPS
        self.tensors["text_similarity"].index_add_(0, group, similar)
        self.tensors["text_count"].index_add_(0, group, torch.ones_like(group))

    def _add_bins(
        self,
        points: Points,
        units: Points,
        found: Tensor,
        lengths: Tensor,
        row: Tensor,
        types: Tensor,
        texts: Tensor,
    ) -> None:
        bins = self.plan.bin_of[types]
        place = bins * GROUPS + texts[row] % GROUPS
        for name, values in (
            ("points", points),
            ("units", units),
            ("norms", lengths),
            ("tokens", torch.ones_like(row)),
            ("directions", found.long()),
        ):
            tensor = self.tensors[f"bin_{name}"]
            tensor.view(-1, *tensor.shape[2:]).index_add_(0, place, values)
        both, index = torch.unique(row * len(self.plan.bins) + bins, return_inverse=True)
        sums = units.new_zeros(len(both), self.d).index_add(0, index, units)
        counts = torch.bincount(index[found], minlength=len(both))
        owner = texts[both // len(self.plan.bins)]
        place = both % len(self.plan.bins) * GROUPS + owner % GROUPS
        self.tensors["bin_squares"].view(-1).index_add_(0, place, sums.square().sum(dim=1))
        self.tensors["bin_pairs"].view(-1).index_add_(0, place, counts.square())


def _nothing(plan: TokenPlan, d: int, states: Tensor) -> dict[str, Tensor]:
    types, bins = len(plan.types), len(plan.bins)
    real = {
        "random_units": (GROUPS, d),
        "random_squares": (GROUPS, d),
        "type_units": (types, GROUPS, d),
        "text_similarity": (GROUPS,),
        "bin_points": (bins, GROUPS, d),
        "bin_units": (bins, GROUPS, d),
        "bin_norms": (bins, GROUPS),
        "bin_squares": (bins, GROUPS),
    }
    whole = {
        "random_count": (GROUPS,),
        "type_count": (types, GROUPS),
        "text_count": (GROUPS,),
        "bin_tokens": (bins, GROUPS),
        "bin_directions": (bins, GROUPS),
        "bin_pairs": (bins, GROUPS),
    }
    held = {"random": OCCURRENCES, "varied": plan.varied * OCCURRENCES}
    dtype = torch.promote_types(states.dtype, torch.float32)
    at = states.device
    return {
        **{name: torch.zeros(shape, dtype=torch.float64, device=at) for name, shape in real.items()},
        **{name: torch.zeros(shape, dtype=torch.long, device=at) for name, shape in whole.items()},
        **{f"{name}_points": torch.zeros(rows, d, dtype=dtype, device=at) for name, rows in held.items()},
        **{f"{name}_group": torch.full((rows,), -1, device=at) for name, rows in held.items()},
    }
