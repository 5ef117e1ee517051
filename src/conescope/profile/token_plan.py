"""What the token views look at, chosen from the token numbers before the first forward pass.

Every choice is drawn with a seed by text or by type, so that it depends neither on the batches nor on the
model. The numbers are read twice: to count, and to find where the chosen types occur.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope.capture import Batch, Prepared, Tokens
from conescope.profile.running import kept_tokens

CONTEXTS = 5  # texts in which a type must occur
TYPES = 500  # at most, whose self-similarity is measured
VARIED = 200  # at most, whose explainable variance is measured, each by at most OCCURRENCES vectors
OCCURRENCES = 50
GROUPS = 10  # of texts, by number, for the jackknife
BUDGET = 1 << 25  # bytes a layer for each of the two: vectors of many dimensions allow for fewer types
WAITING = 1 << 20  # occurrences that are kept at a time

TokensOf = Callable[[Batch], Tokens | None]


@dataclass(frozen=True)
class TokenPlan:
    """The types that are looked at, and the tokens of each text.

    `draws` has a number in [0, 1) for each text, which picks its random token. `slot_of` and `bin_of` say
    for each type its number among the chosen, and that of its frequency bin, or -1. `held` are the
    occurrences whose vectors are kept, as text * types + slot in ascending order, and `rows` where.
    `random_rows` says the same of random tokens, for each text; -1 for those that are not kept.
    """

    special_tokens: bool
    draws: Float[Tensor, " texts"]
    counts: Int64[Tensor, " vocabulary"]
    slot_of: Int64[Tensor, " vocabulary"]
    bin_of: Int64[Tensor, " vocabulary"]
    types: Int64[Tensor, " types"]
    bins: Int64[Tensor, " bins"]  # whole part of log2 of the counts in it
    varied: int  # how many of the first types have their vectors kept
    held: Int64[Tensor, " held"]
    rows: Int64[Tensor, " held"]
    random_rows: Int64[Tensor, " texts"]

    def to(self, device: torch.device) -> "TokenPlan":
        """Return the plan with its tensors on a device."""
        moved: dict[str, Any] = {
            name: value.to(device) if isinstance(value, Tensor) else value
            for name, value in vars(self).items()
        }
        return TokenPlan(**moved)


def token_plan(
    prepared: Prepared,
    batches: Sequence[Sequence[int]],
    tokens_of: TokensOf,
    *,
    special_tokens: bool,
    d: int,
    seed: int = 0,
) -> TokenPlan:
    """Return the plan for some inputs, in d dimensions at most.

    Raises:
        ValueError: if the tokens have no types.
    """
    counts, contexts, present = _counted(prepared, batches, tokens_of, special_tokens)
    generator = torch.Generator().manual_seed(seed)
    draws, order = torch.rand(2, len(prepared.sizes), generator=generator, dtype=torch.float64)
    eligible = (contexts >= CONTEXTS).nonzero()[:, 0]
    room = max(1, min(TYPES, BUDGET // (8 * GROUPS * d)))
    types = eligible[torch.randperm(len(eligible), generator=generator)][:room]
    slot_of = torch.full_like(counts, -1)
    slot_of[types] = torch.arange(len(types))
    levels = torch.where(counts > 0, counts.double().log2().floor().long(), -1)
    bins = torch.unique(levels[levels >= 0])
    varied = min(len(types), VARIED, max(1, BUDGET // (4 * OCCURRENCES * d)))
    held, rows = _held(prepared, batches, tokens_of, special_tokens, slot_of, order, varied, len(types))
    random_rows = torch.full_like(present, -1, dtype=torch.long)
    texts = present.nonzero()[:, 0]
    first = texts[order[texts].argsort(stable=True)][:OCCURRENCES]
    random_rows[first] = torch.arange(len(first))
    bin_of = torch.where(levels >= 0, torch.searchsorted(bins, levels), -1)
    return TokenPlan(
        special_tokens, draws, counts, slot_of, bin_of, types, bins, varied, held, rows, random_rows
    )


def _pairs(
    prepared: Prepared, batches: Sequence[Sequence[int]], tokens_of: TokensOf, special_tokens: bool
) -> Iterator[tuple[Int64[Tensor, " m"], Int64[Tensor, " m"]]]:
    """Yield the text and the type of each token that counts, batch by batch."""
    for numbers in batches:
        tokens = tokens_of(prepared.batch(numbers))
        if tokens is None or tokens.ids is None:
            raise ValueError(
                "token views need tokens that have types, such as those of texts; these inputs have none, "
                "so leave token views out"
            )
        row, place = kept_tokens(tokens, special_tokens).nonzero(as_tuple=True)
        yield torch.tensor(numbers)[row], tokens.ids[row, place]


def _counted(
    prepared: Prepared, batches: Sequence[Sequence[int]], tokens_of: TokensOf, special_tokens: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each type its tokens and its texts, and for each text whether it has a token."""
    counts = contexts = torch.zeros(0, dtype=torch.long)
    present = torch.zeros(len(prepared.sizes), dtype=torch.bool)
    for texts, ids in _pairs(prepared, batches, tokens_of, special_tokens):
        present[texts] = True
        once = torch.unique(torch.stack([texts, ids]), dim=1)[1]
        counts, contexts = _added(counts, ids), _added(contexts, once)
    return counts, contexts, present


def _added(counts: Tensor, ids: Tensor) -> Tensor:
    more = torch.bincount(ids, minlength=len(counts))
    more[: len(counts)] += counts
    return more


def _held(
    prepared: Prepared,
    batches: Sequence[Sequence[int]],
    tokens_of: TokensOf,
    special_tokens: bool,
    slot_of: Tensor,
    order: Tensor,
    varied: int,
    types: int,
) -> tuple[Tensor, Tensor]:
    """Return which occurrences of the first types are kept, at most so many of each, and their rows."""
    found = torch.zeros(2, 0, dtype=torch.long)  # texts and slots
    ranks = torch.zeros(0, dtype=torch.long)
    for texts, ids in _pairs(prepared, batches, tokens_of, special_tokens) if varied else ():
        slots = slot_of[ids]
        mine = (slots >= 0) & (slots < varied)
        once = torch.unique(torch.stack([texts[mine], slots[mine]]), dim=1)
        found = torch.cat([found, once], dim=1)
        if found.shape[1] > WAITING:
            found, _ = _first(found, order)
    found, ranks = _first(found, order)
    held, index = (found[0] * types + found[1]).sort()
    return held, (found[1] * OCCURRENCES + ranks)[index]


def _first(found: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """Return the occurrences of each slot whose texts come first in an order, and their ranks."""
    found = found[:, order[found[0]].argsort(stable=True)]
    found = found[:, found[1].argsort(stable=True)]
    sizes = torch.bincount(found[1])
    ranks = torch.arange(found.shape[1]) - (sizes.cumsum(0) - sizes)[found[1]]
    return found[:, ranks < OCCURRENCES], ranks[ranks < OCCURRENCES]
