"""Hubness: are some points in everybody's list of neighbors, and others in nobody's?

With N_k(i) the number of points that have point i among their k nearest neighbors (its mean over the
points is k, whatever the cloud),

    hubness  = mean_i (N_k(i) - k)^3 / (mean_i (N_k(i) - k)^2)^(3/2),      the skewness,
    antihubs = #{i : N_k(i) = 0} / n.

Skewness is 0 when all points are chosen equally often, and grows with a few points that everybody
chooses; it can not leave +-(n - 2) / sqrt(n - 1). At least k + 1 points are chosen by somebody, so
antihubs <= 1 - (k + 1) / n. Both count, so they have no gradient. Distances are Euclidean: for hubs of
a search by cosine, pass unit vectors. Translation, rotation and scaling change nothing.

Among n points everybody has n - 1 others. With k = n - 1 all counts would be equal and tell nothing, so
k is n - 2 where there are fewer than k + 2 points.

Reference: Radovanovic, Nanopoulos, Ivanovic (2010), "Hubs in space", JMLR 11.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Points, Scalar
from conescope.measures.neighbors import Neighbors, neighbors


def hubness(points: Points, *, k: int = 10) -> Scalar:
    """Return the skewness of the number of times each point is among the k nearest of another.

    Equal counts have skewness 0. Fewer than three points, or points whose k nearest are all copies of
    them, give nan. Equal distances are decided by the lower index.

    >>> hubness(torch.tensor([[0.0], [1.0], [2.1], [3.3]]), k=1)  # chosen 1, 2, 1 and 0 times
    tensor(0.)
    """
    return hubness_from_neighbors(neighbors(points, k), k=k).to(points.dtype)


def antihubs(points: Points, *, k: int = 10) -> Scalar:
    """Return the share of points that are among the k nearest of no other point, from 0 to 1 - (k + 1) / n.

    Undefined (nan) where `hubness` is.

    >>> antihubs(torch.tensor([[0.0], [1.0], [2.1], [3.3]]), k=1)
    tensor(0.2500)
    """
    return antihubs_from_neighbors(neighbors(points, k), k=k).to(points.dtype)


def hubness_from_neighbors(neighbors: Neighbors, *, k: int = 10) -> Scalar:
    """Return `hubness` of any points with these neighbors."""
    counts = _occurrences(neighbors, k)
    if len(counts) == 0:
        return counts.sum() * math.nan
    deviations = counts - counts.mean()
    variance = deviations.square().mean()
    spread = torch.where(variance > 0, variance, 1)
    return deviations.pow(3).mean() / spread.pow(1.5)


def antihubs_from_neighbors(neighbors: Neighbors, *, k: int = 10) -> Scalar:
    """Return `antihubs` of any points with these neighbors."""
    counts = _occurrences(neighbors, k)
    return (counts == 0).double().mean() if len(counts) > 0 else counts.sum() * math.nan


def _occurrences(neighbors: Neighbors, k: int) -> Float[Tensor, " n"]:
    """Return how often each point is chosen; nothing where that is not defined."""
    if k < 1:
        raise ValueError(f"k is a number of neighbors and at least 1, got {k}")
    n = len(neighbors.indices)
    chosen = neighbors.indices[:, : min(k, n - 2)] if n > 2 else neighbors.indices[:0]
    if not (neighbors.distances[:, : chosen.shape[1]] > 0).any():
        chosen = chosen[:0]  # all lists hold copies only: which ones is chance
    return chosen.flatten().bincount(minlength=n if len(chosen) else 0).double()
