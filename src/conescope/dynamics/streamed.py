"""Count, mean and scatter of inputs that stream by: all that a tangent proxy is fitted on.

Products are taken in float32 of rows less their mean, and added up in float64.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Covariance, Points


class Streamed(NamedTuple):
    """Of the inputs so far, in float64."""

    n: int
    mean: Float[Tensor, " d"]
    scatter: Covariance  # sum of outer products of the inputs less their mean


def streamed(points: Points) -> Streamed:
    """Return the sums of at least one point; float64 points are not narrowed."""
    wide = points if points.dtype == torch.float64 else points.float()
    mean = wide.mean(dim=0, dtype=torch.float64)
    away = wide - mean.to(wide.dtype)
    offset = away.mean(dim=0, dtype=torch.float64)  # the mean was rounded
    scatter = (away.T @ away).double().addr_(offset, offset, alpha=-len(points))
    return Streamed(len(points), mean, scatter)


def merged(one: Streamed, other: Streamed) -> Streamed:
    """Return the sums of the points of both (Chan, Golub and LeVeque 1983)."""
    n = one.n + other.n
    step = other.mean - one.mean
    scatter = (one.scatter + other.scatter).addr_(step, step, alpha=one.n * other.n / n)
    return Streamed(n, one.mean + step * (other.n / n), scatter)
