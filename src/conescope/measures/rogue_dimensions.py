"""Rogue dimensions: do a few coordinates make the cosines?

A cosine is a sum over coordinates, and so is the mean cosine A of all pairs of n directions u_i:

    A = sum_j C_j,    C_j = ((sum_i u_ij)^2 - sum_i u_ij^2) / (n (n - 1)),

exact and without a loop over pairs. The share of coordinate j is C_j / A, and its even value 1/d. Where
three of 768 coordinates hold most of A, cosine similarity compares these three. Some C_j are negative, so
the largest shares may sum to more than 1.

Without a common direction there is nothing to share. Then |sum_i u_i|^2 is n on average, and A lies
within 1 / (n - 1) of 0, the distance by which it can fall below: shares are defined only where A exceeds
that, |sum_i u_i|^2 > 2 n. It also keeps the sum of any shares below 2. Unchanged by scaling, also
of single points; rotation mixes the coordinates.

Reference: Timkey and van Schijndel (2021), arXiv:2109.04404, with sampled pairs.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._types import Points, Scalar
from conescope.measures.directions import directions
from conescope.scale.moments import Moments


class RogueDimensions(NamedTuple):
    """The coordinates that carry most of the mean cosine, strongest first."""

    dimensions: Int64[Tensor, " k"]
    shares: Float[Tensor, " k"]


def rogue_dimensions(points: Points, *, k: int = 3) -> RogueDimensions:
    """Return the k coordinates that carry most of the mean cosine, and the share of each.

    Of fewer than k dimensions all are returned; of two with the same share, the first. Zero vectors have
    no direction and are left out. Where the mean cosine is not told from 0 (at most 1 / (n - 1), and
    always for fewer than three directions) the shares are nan. They carry a gradient, the choice does not.

    Raises:
        ValueError: if k is less than 1.

    >>> points = torch.tensor([[5.0, 1.0, 0.0], [5.0, -1.0, 0.0], [5.0, 0.0, 1.0], [5.0, 0.0, -1.0]])
    >>> found = rogue_dimensions(points, k=1)  # A = 25/26 - 1/78
    >>> found.dimensions, found.shares
    (tensor([0]), tensor([1.0135]))
    """
    found = _in_double(points, k)
    return RogueDimensions(found.dimensions, found.shares.to(points.dtype))


def rogue_dimensions_from_moments(moments: Moments, *, k: int = 3) -> RogueDimensions:
    """Return `rogue_dimensions` of any points with these moments (of order 2)."""
    if moments.direction_square_sum is None:
        raise ValueError("rogue dimensions need moments of order 2")
    return _strongest(moments.direction_sum, moments.direction_square_sum, moments.directions, k)


def rogue_share(points: Points, *, k: int = 3) -> Scalar:
    """Return the sum of the k largest shares, from k/d (even) to less than 2; see `rogue_dimensions`.

    >>> ring = torch.tensor([[5.0, 1.0, 0.0], [5.0, -1.0, 0.0], [5.0, 0.0, 1.0], [5.0, 0.0, -1.0]])
    >>> rogue_share(ring)  # all three
    tensor(1.)
    """
    return _in_double(points, k).shares.sum().to(points.dtype)


def rogue_share_from_moments(moments: Moments, *, k: int = 3) -> Scalar:
    """Return `rogue_share` of any points with these moments (of order 2)."""
    return rogue_dimensions_from_moments(moments, k=k).shares.sum()


def _in_double(points: Points, k: int) -> RogueDimensions:
    units, found = directions(points)
    return _strongest(units.sum(dim=0), units.square().sum(dim=0), int(found.sum()), k)


def _strongest(sums: Float[Tensor, " d"], squares: Float[Tensor, " d"], n: int, k: int) -> RogueDimensions:
    if k < 1:
        raise ValueError(f"k is the number of dimensions and at least 1, got {k}")
    carried = sums.square() - squares  # n (n - 1) C_j
    total = carried.sum()
    dimensions = carried.detach().argsort(descending=True, stable=True)[:k]
    common = total > (n if n > 2 else math.inf)  # two equal directions reach n, give or take a rounding
    shares = carried[dimensions] / torch.where(common, total, 1)
    return RogueDimensions(dimensions, torch.where(common, shares, math.nan))
