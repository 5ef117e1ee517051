"""Density variation: is the cloud equally dense everywhere?

With r_i the distance from point i to its k-th nearest neighbor,

    density variation = sqrt(mean_i (r_i - mean r)^2) / mean_i r_i.

It is 0 when all points have the same room around them, and at most sqrt(n - 1), when one point has all
of it. In d dimensions the density at a point goes as r^(-d), so in high dimension a small number here
is a large ratio of densities. Unchanged by translation, rotation and scaling.

Reference: the coefficient of variation of k-nearest-neighbor distances, whose inverse d-th powers are
the density estimate of Loftsgaarden and Quesenberry (1965).
"""

import math

import torch

from conescope._types import Points, Scalar
from conescope.measures.neighbors import Neighbors, neighbors


def density_variation(points: Points, *, k: int = 10) -> Scalar:
    """Return the coefficient of variation of the distance to the k-th neighbor, from 0 to sqrt(n - 1).

    With fewer than k + 1 points it is the distance to the farthest one. A point with k copies is at
    distance 0, infinitely dense. If that is so for all, or there are fewer than two points, it is nan.

    >>> density_variation(torch.tensor([[0.0], [1.0], [3.0]]), k=1)  # distances 1, 1, 2: sqrt(2/9) / (4/3)
    tensor(0.3536)
    """
    return density_variation_from_neighbors(neighbors(points, k), k=k).to(points.dtype)


def density_variation_from_neighbors(neighbors: Neighbors, *, k: int = 10) -> Scalar:
    """Return `density_variation` of any points with these neighbors."""
    if k < 1:
        raise ValueError(f"k is a number of neighbors and at least 1, got {k}")
    reach = neighbors.distances[:, :k][:, -1:]
    mean = reach.sum() / max(reach.numel(), 1)
    variance = (reach / torch.where(mean > 0, mean, 1) - 1).square().sum() / max(reach.numel(), 1)
    spread = torch.where(variance > 0, variance, 1).sqrt()  # the root of 0 has no gradient
    return torch.where(mean > 0, torch.where(variance > 0, spread, 0), math.nan)
