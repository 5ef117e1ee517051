"""TwoNN: the intrinsic dimension that the two nearest neighbors of every point show.

With r_1 < r_2 the distances from a point to its two nearest others, mu = r_2 / r_1 has the distribution
P(mu > x) = x^(-d) where the density is locally constant in d dimensions. So ln mu is exponential with
rate d, and the maximum likelihood over m points is

    dimension = m / sum_i ln mu_i.

As sum_i ln mu_i times d has a gamma distribution of shape m, its quantiles give an interval; by
Wilson and Hilferty's cube root

    low, high = dimension (1 - 1 / (9 m) -+ 1.96 / (3 sqrt(m)))^3    (95 %).

`discard` leaves the largest ratios out, as the paper does: of a share f of them only the number and the
least possible size are used (a censored sample), so with the m smallest of n ratios

    dimension = m / (sum_{i <= m} ln mu_i + (n - m) ln mu_m),    m = n - floor(f n).

The paper fits a line to the same ratios instead.

Copies: a repeated point has r_1 = 0 and no ratio, and one whose nearest neighbor is repeated a ratio of 1.
So copies are taken once, and the dimension is that of the distinct points. The lists of neighbors hold
20 entries: a point with fewer than two distinct others in its list has no ratio and is left out.

Reference: Facco, d'Errico, Rodriguez, Laio (2017), "Estimating the intrinsic dimension of datasets by a
minimal neighborhood information", Scientific Reports 7.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from conescope._types import Points, Scalar
from conescope.measures.neighbors import Neighbors, neighbors

ROUNDING = 1e-12  # two distances that agree to this are equal
QUANTILE = 1.959964  # of the normal distribution, two-sided 95 %


class TwoNN(NamedTuple):
    """An intrinsic dimension, its 95 % interval, and the share of points that had a ratio."""

    dimension: Scalar
    low: Scalar
    high: Scalar
    used: Scalar


def twonn(points: Points, *, discard: float = 0.0) -> Scalar:
    """Return the intrinsic dimension by the two nearest neighbors; copies are taken once.

    It is nan if fewer than half of the points have two distinct others among their 20 nearest (so with
    fewer than three distinct points, or where most are repeated more than ten times), and where all
    ratios are 1, as in a regular simplex.

    Args:
        points: of shape (n, d).
        discard: share of the largest ratios of which only the number is used, from 0 (the default:
            maximum likelihood of all) to below 1; 0.1 in the paper. Near-copies give huge ratios.

    >>> twonn(torch.tensor([[0.0], [1.0], [3.0]]))  # ratios 3, 2, 3/2: 3 / ln 9
    tensor(1.3654)
    """
    return twonn_estimate(points, discard=discard).dimension


def twonn_estimate(points: Points, *, discard: float = 0.0) -> TwoNN:
    """Return `twonn` with its interval and the share of points that had a ratio.

    The interval takes the ratios for independent, though mutual neighbors share a distance: it is a little
    short, and covers in about 86 of 100 draws. It tells the noise of the estimate, not its bias.
    """
    found = twonn_estimate_from_neighbors(neighbors(points), discard=discard)
    return TwoNN(*(value.to(points.dtype) for value in found))


def twonn_from_neighbors(neighbors: Neighbors, *, discard: float = 0.0) -> Scalar:
    """Return `twonn` of any points with these neighbors."""
    return twonn_estimate_from_neighbors(neighbors, discard=discard).dimension


def twonn_estimate_from_neighbors(neighbors: Neighbors, *, discard: float = 0.0) -> TwoNN:
    """Return `twonn_estimate` of any points with these neighbors."""
    if not 0 <= discard < 1:
        raise ValueError(f"discard is a share of the ratios, from 0 to below 1, got {discard}")
    others, once = distinct_neighbors(neighbors)
    has_ratio = others.sum(dim=1) >= 2
    used = has_ratio.double().sum() / max(len(has_ratio), 1)
    if not used >= 0.5:
        undefined = neighbors.distances.sum() * math.nan
        return TwoNN(undefined, undefined, undefined, used)
    chosen = has_ratio & once
    place = _first_two(others[chosen])
    logs = neighbors.distances[chosen].gather(1, place).log()
    ratios = (logs[:, 1] - logs[:, 0]).sort().values
    m = len(ratios) - math.floor(discard * len(ratios))
    total = ratios[:m].sum() + (len(ratios) - m) * ratios[m - 1]
    differ = total > ROUNDING * m
    dimension = torch.where(differ, m / torch.where(differ, total, 1), math.nan)
    low, high = (
        dimension * (1 - 1 / (9 * m) + side * QUANTILE / (3 * math.sqrt(m))) ** 3 for side in (-1, 1)
    )
    return TwoNN(dimension, low, high, used)


def distinct_neighbors(neighbors: Neighbors) -> tuple[Bool[Tensor, "n k"], Bool[Tensor, " n"]]:
    """Return which neighbors are new points, and which points are the first of their copies.

    A neighbor is new if it is no copy of the point and of no neighbor listed before it.
    """
    distances, indices = neighbors.distances.detach(), neighbors.indices
    n, k = indices.shape
    every = torch.arange(n, device=indices.device)
    copy = distances == 0
    # Copies have one name, the lowest index among them. A list full of copies may not hold that one; such
    # points share the name n, and are told apart by their distance to the point that lists them.
    name = torch.minimum(torch.where(copy, indices, n).amin(dim=1), every) if k else every
    name = torch.where(copy.all(dim=1), n, name) if k else name
    named = name[indices]
    new = ~copy
    for column in range(1, k):
        before = named[:, :column] == named[:, column, None]
        before &= distances[:, column, None] <= distances[:, :column] * (1 + ROUNDING)
        new[:, column] &= ~before.any(dim=1)
    return new, name == every


def _first_two(chosen: Bool[Tensor, "n k"]) -> Tensor:
    """Return the columns of the first two true entries of each row."""
    columns = torch.arange(chosen.shape[1], device=chosen.device)
    return torch.where(chosen, columns, chosen.shape[1]).sort(dim=1).values[:, :2]
