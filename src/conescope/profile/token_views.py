"""Token views of a profile: what tokens, types and texts do, layer by layer.

Self-similarity of a type across texts, similarity within a text, explainable variance of types, each beside
what random tokens show; rogue dimensions; and all of it by how frequent the types are.

Reference: Ethayarajh (2019), arXiv:1909.00512; rogue dimensions by Timkey and van Schijndel (2021),
arXiv:2109.04404.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from conescope.capture import Prepared, Spot, Tokens
from conescope.profile.running import kept_tokens, tokens_of
from conescope.profile.token_plan import TokenPlan, token_plan
from conescope.profile.token_sums import TokenSums
from conescope.profile.token_tables import token_tables
from conescope.results.profile import Rows


class TokenViews:
    """The token views of the layers of a profile; layers whose inputs have no types have none.

    Args:
        prepared: the inputs.
        batches: their numbers, as they will run.
        layers: of the profile.
        special_tokens: whether special tokens count.
        seed: of the random tokens and of the choice of types.
        device: of the hidden states.

    Raises:
        ValueError: if there is no layer whose tokens have types.
    """

    def __init__(
        self,
        prepared: Prepared,
        batches: Sequence[Sequence[int]],
        layers: Sequence[Spot],
        *,
        special_tokens: bool,
        seed: int,
        device: torch.device,
    ) -> None:
        probe = prepared.batch(batches[0])
        self.device = device
        plans: dict[bool, TokenPlan] = {}
        self.sums: dict[Spot, TokenSums] = {}
        for spot in layers:
            tokens = tokens_of(probe, spot)
            if tokens is None or tokens.ids is None:
                continue
            decoded = tokens is probe.decoded
            if decoded not in plans:
                plans[decoded] = token_plan(
                    prepared,
                    batches,
                    partial(tokens_of, spot=spot),
                    special_tokens=special_tokens,
                    d=max(layer.d for layer in layers),
                    seed=seed,
                )
            self.sums[spot] = TokenSums(plans[decoded], spot)
        if not self.sums:
            raise ValueError(
                "token views need tokens that have types, such as those of texts; these inputs have none, "
                "so leave token views out"
            )

    def see(self, spot: Spot, states: Tensor, tokens: Tokens | None, numbers: Sequence[int]) -> None:
        """Take the hidden states (batch, tokens, d) of a layer for the texts of these numbers."""
        sums = self.sums.get(spot)
        if sums is not None and tokens is not None:
            sums.add(states, kept_tokens(tokens, sums.plan.special_tokens), tokens.ids, numbers)

    def tables(self, spot: Spot, *, intervals: bool = True) -> tuple[Rows, ...]:
        """Return the tables of a layer; see `token_tables`."""
        return token_tables(self.sums[spot], intervals=intervals) if spot in self.sums else ()

    def tensors(self) -> dict[str, Tensor]:
        """Return all sums by name, on the CPU, for a run that is stopped to go on from."""
        return {
            f"{number} {name}": value.cpu()
            for number, sums in enumerate(self.sums.values())
            for name, value in (sums.tensors | {"differ": torch.tensor(sums.positions_differ)}).items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from the sums of a stopped run."""
        for number, sums in enumerate(self.sums.values()):
            mine = {
                name.split(" ", 1)[1]: value
                for name, value in tensors.items()
                if name.startswith(f"{number} ")
            }
            sums.positions_differ = bool(mine.pop("differ"))
            sums.load(mine, self.device)
