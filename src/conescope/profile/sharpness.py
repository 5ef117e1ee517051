"""Weights of attention -> how sharp it is: entropy against that of uniform attention, and the maximum."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


class Sharpness(NamedTuple):
    """Sums over the queries of a row that count, and how many these are."""

    entropy: Float[Tensor, "rows heads"]
    maximum: Float[Tensor, "rows heads"]
    special: Float[Tensor, "rows heads"]
    queries: Int64[Tensor, " rows"]


def sharpness(
    weights: Float[Tensor, "rows heads queries keys"],
    allowed: Bool[Tensor, "rows queries keys"],
    counted: Bool[Tensor, "rows queries"],
    special: Bool[Tensor, "rows keys"],
) -> Sharpness:
    """Return sums over queries of the entropy over ln T, the maximum, and the weight on special tokens.

    A query may attend to T keys. The entropy of its weights over ln T is in [0, 1]: 1 for uniform ones, 0
    where all weight is on one key. The maximum is in [1/T, 1]. Queries with T < 2 have no choice, and do not
    count.

    Args:
        weights: of each query, with sum 1.
        allowed: the keys that each query may attend to.
        counted: queries to count.
        special: keys that stand for no part of the input.
    """
    choices = allowed.sum(dim=2)
    counted = counted & (choices > 1)
    weights = weights.to(torch.promote_types(weights.dtype, torch.float32))
    entropy = torch.special.entr(weights).sum(dim=3, dtype=torch.float64)
    entropy = entropy / choices.clamp(min=2).double().log()[:, None]
    on_special = torch.einsum("bhqk,bk->bhq", weights, special.to(weights.dtype)).double()

    def total(each: Float[Tensor, "rows heads queries"]) -> Float[Tensor, "rows heads"]:
        return torch.where(counted[:, None], each, 0.0).sum(dim=2)

    maximum = weights.amax(dim=3).double()
    return Sharpness(total(entropy), total(maximum), total(on_special), counted.sum(dim=1))


def standard_error(values: Float[Tensor, "pairs heads"]) -> Float[Tensor, " heads"]:
    """Return the standard error of the mean of independent values; NaN for one of them."""
    if len(values) < 2:
        return torch.full_like(values[0], math.nan)
    return values.std(dim=0) / math.sqrt(len(values))
