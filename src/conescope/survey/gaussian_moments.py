"""The moments of many points of a Gaussian, drawn at once: no point is drawn, however many there are.

For n points of N(0, s^2 I) in d dimensions, in classes of n_c points:

    class means      N(0, s^2 / n_c I), independent of the scatter within classes
    that scatter     s^2 times a Wishart matrix of n - C degrees of freedom, by Bartlett's triangle
    norms            s times a chi variable of d degrees of freedom: mean and variance
    directions u     their sum is tied to that of the points: beta sum x plus a rest, with beta = E|x| / d
                     and a variance of (1 - E|x|^2 / d) / d for each point (in units of s)

The first two are exact. Norms are at their expectation, and the rest of the directions is normal, which
they are for many points.

Reference: Anderson (2003), An Introduction to Multivariate Statistical Analysis, theorems 3.3.2 and 7.2.1.
"""

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from conescope.scale.moments import ClassMoments, Moments


def gaussian_moments(
    n: int,
    d: int,
    *,
    spread: float = 1.0,
    counts: NDArray[np.int64] | None = None,
    order: Literal[1, 2] = 2,
    seed: int = 0,
) -> Moments:
    """Return moments as n points of a Gaussian with standard deviation `spread` may have them.

    Args:
        n: how many points.
        d: dimensions.
        spread: of each coordinate.
        counts: points in each class, n in all; None for points without classes.
        order: 1 leaves out the scatter.
        seed: of the draw.
    """
    random = np.random.default_rng(seed)
    sizes = np.array([n]) if counts is None else counts
    weights = sizes[:, None].astype(np.float64)
    means = random.normal(size=(len(sizes), d)) / np.sqrt(np.maximum(weights, 1))
    means[sizes == 0] = 0
    mean = (weights * means).sum(axis=0) / n
    norm = math.sqrt(2) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))  # E chi_d
    variance = max(d - norm**2, 0.0)
    rest = np.sqrt(weights * variance) / d * random.normal(size=means.shape)
    sums = weights * means * (norm / d) + rest
    scatter = None
    if order == 2:
        steps = (means - mean) * np.sqrt(weights)
        scatter = (_wishart(n - int((sizes > 0).sum()), d, random) + steps.T @ steps) * spread**2
    longest = norm + math.sqrt(2 * math.log(max(n, 2)))
    return Moments(
        n=n,
        d=d,
        mean=torch.from_numpy(mean * spread),
        directions=n,
        direction_sum=torch.from_numpy(sums.sum(axis=0)),
        norm_mean=torch.tensor(norm * spread, dtype=torch.float64),
        norm_scatter=torch.tensor(n * variance * spread**2, dtype=torch.float64),
        norm_range=(0.0, longest * spread),
        resolution=max(n, d) * torch.finfo(torch.float64).eps,
        scatter=None if scatter is None else torch.from_numpy(scatter),
        direction_square_sum=torch.full((d,), n / d, dtype=torch.float64) if order == 2 else None,
        classes=None
        if counts is None
        else ClassMoments(
            counts=torch.from_numpy(sizes),
            means=torch.from_numpy(means * spread),
            direction_counts=torch.from_numpy(sizes.copy()),
            direction_sums=torch.from_numpy(sums),
        ),
    )


def _wishart(freedom: int, d: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return X^T X of `freedom` points of N(0, I): a triangle has the same law as that many rows."""
    if freedom < d:
        rows = random.normal(size=(freedom, d))
        return rows.T @ rows
    triangle = np.tril(random.normal(size=(d, d)), -1)
    triangle[np.diag_indices(d)] = np.sqrt(random.chisquare(freedom - np.arange(d)))
    product: NDArray[np.float64] = triangle @ triangle.T
    return product
