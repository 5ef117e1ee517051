"""Closed forms that a measure and a loss share, so that each formula is written once."""

import math

from jaxtyping import Float, Int64
from torch import Tensor

from conescope._types import Scalar


def isoscore_from_traces(trace: Scalar, trace_of_square: Scalar, d: int) -> Scalar:
    """Return (PR - 1) / (d - 1) with PR = (tr C)^2 / tr(C^2); nan for d = 1, which has nothing to compare."""
    participation = trace.square() / trace_of_square
    return (participation - 1) / (d - 1) if d > 1 else participation * math.nan


def mean_cosine_from_sum(
    direction_sum: Float[Tensor, "*clouds d"], count: Int64[Tensor, "*clouds"]
) -> Float[Tensor, "*clouds"]:
    """Return (|sum u|^2 - count) / (count (count - 1)): the mean cosine over all pairs of directions."""
    mean: Tensor = (direction_sum.square().sum(dim=-1) - count) / (count * (count - 1))
    return mean
