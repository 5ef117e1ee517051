"""Hidden states of tokens -> one vector a sequence. Padding never enters."""

from typing import Literal, TypeAlias, get_args

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

Pooling: TypeAlias = Literal["cls", "mean", "first_last_mean", "last_token"]
POOLINGS: tuple[str, ...] = get_args(Pooling)


def layers_needed(pooling: Pooling, layer: int) -> tuple[int, ...]:
    """Return the hidden states that a pooling reads, numbered as in `hidden_states` of transformers.

    `first_last_mean` averages the outputs of the first and the last block and has no layer to choose.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, got {pooling!r}")
    if pooling != "first_last_mean":
        return (layer,)
    if layer != -1:
        raise ValueError(
            f"first_last_mean reads the first and the last block; leave layer at -1, got {layer}"
        )
    return (1, -1)


def pool(
    hidden: list[Float[Tensor, "batch tokens d"]],
    attention_mask: Shaped[Tensor, "batch tokens"] | None,
    pooling: Pooling,
) -> Float[Tensor, "batch d"]:
    """Return one vector a sequence from the hidden states that `layers_needed` asked for.

    cls: the first token that is not padding. last_token: the last one. mean: over tokens that are not
    padding. Without a mask (images, say) every token counts. A sequence of padding alone gives its first
    (or last) token under cls and last_token, and NaN under the means.
    """
    last = hidden[-1]
    if attention_mask is None:
        attention_mask = torch.ones(last.shape[:2], dtype=torch.bool, device=last.device)
    if attention_mask.shape != last.shape[:2]:
        expected, found = tuple(last.shape[:2]), tuple(attention_mask.shape)
        raise ValueError(f"the attention mask has one entry a token, shape {expected}, got {found}")
    real = attention_mask != 0
    if pooling == "cls":
        return token_at(last, first_of(real))
    if pooling == "last_token":
        return token_at(last, last_of(real))
    return torch.stack([mean_over(states, real) for states in hidden]).mean(dim=0)


def first_of(kept: Bool[Tensor, "batch tokens"]) -> Int64[Tensor, " batch"]:
    """Return the place of the first token of each sequence that is kept, or 0."""
    return kept.int().argmax(dim=1)


def last_of(kept: Bool[Tensor, "batch tokens"]) -> Int64[Tensor, " batch"]:
    """Return the place of the last token of each sequence that is kept, or the last one."""
    return kept.shape[1] - 1 - kept.flip(1).int().argmax(dim=1)


def token_at(
    states: Float[Tensor, "batch tokens d"], position: Int64[Tensor, " batch"]
) -> Float[Tensor, "batch d"]:
    """Return one token of each sequence."""
    return states[torch.arange(len(states), device=states.device), position]


def mean_over(
    states: Float[Tensor, "batch tokens d"], kept: Bool[Tensor, "batch tokens"]
) -> Float[Tensor, "batch d"]:
    """Return the mean of the tokens of each sequence that are kept; NaN without one."""
    weights = kept.to(states.dtype)[..., None]
    return (states * weights).sum(dim=1) / weights.sum(dim=1)
