"""Inputs made ready for a model, whatever their modality, and what is known of each token."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Bool, Int64
from torch import Tensor


class Tokens(NamedTuple):
    """What is known of the tokens (bytes, frames, patches) of a batch.

    `real` are those that are not padding, and `special` those of them that stand for no part of the input,
    such as [CLS]. `ids` are their types, where tokens have types.
    """

    real: Bool[Tensor, "batch tokens"]
    special: Bool[Tensor, "batch tokens"]
    ids: Int64[Tensor, "batch tokens"] | None = None


class Batch(NamedTuple):
    """Some inputs as the arguments of one forward pass, and their tokens.

    An argument without a name, "", goes first. `decoded` are the tokens of the decoder of a model that has
    one beside its encoder. Without `tokens` every position counts, and none is special.
    """

    arguments: Mapping[str, Any]
    size: int
    tokens: Tokens | None = None
    decoded: Tokens | None = None


@runtime_checkable
class Prepared(Protocol):
    """Inputs that can be had in batches.

    `sizes` has one number an input, of tokens or of whatever else its computation grows with. Inputs of
    different sizes may stand in one batch only where `padded`: where no number depends on padding.
    `fingerprint` is a hash of all inputs, which tells a stopped run whether it goes on with the same ones.
    """

    @property
    def modality(self) -> str: ...

    @property
    def sizes(self) -> Sequence[int]: ...

    @property
    def padded(self) -> bool: ...

    @property
    def fingerprint(self) -> str: ...

    def batch(self, numbers: Sequence[int]) -> Batch:
        """Return the inputs of these numbers as one batch on the CPU."""


def ordered(prepared: Prepared, batch_size: int) -> list[list[int]]:
    """Return the numbers of the inputs in batches, from large to small: the same order for any batch size.

    The first batch needs the most memory, so that a run that begins well ends well.
    """
    order = sorted(range(len(prepared.sizes)), key=lambda number: (-prepared.sizes[number], number))
    batches: list[list[int]] = []
    for number in order:
        last = batches[-1] if batches else []
        fits = 0 < len(last) < batch_size and (
            prepared.padded or prepared.sizes[last[0]] == prepared.sizes[number]
        )
        if fits:
            last.append(number)
        else:
            batches.append([number])
    return batches
