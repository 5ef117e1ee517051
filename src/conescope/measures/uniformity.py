"""Uniformity: how evenly do the directions of the points cover the sphere?

With u_i = x_i / |x_i| and the Gaussian potential of width set by t, over all pairs i < j,

    U = ln mean exp(-t |u_i - u_j|^2).

0 means that all points look the same way, -4 t (two opposite points) is the least there can be. Many
points spread evenly over the sphere of R^d give

    -2 t + ln 0F1(; d/2; t^2) = -2 t + ln sum_k t^(2k) / ((d/2) (d/2 + 1) ... (d/2 + k - 1) k!),

the mean of the potential of two independent directions, about -2 t in many dimensions. Unchanged by
rotation and by scaling, also of single points; translation changes it.

Reference: Wang and Isola (2020), arXiv:2005.10242.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from conescope._types import Points, Scalar
from conescope.measures.centering import in_double

BLOCK = 1 << 22  # pairs held at a time


def uniformity(points: Points, *, t: float = 2.0) -> Scalar:
    """Return the uniformity, from -4 t to 0; the lower, the more even.

    A zero vector has no direction: it is left out, with its pairs, and gets no gradient. Fewer than two
    directions give nan. Pairs are taken in blocks; a gradient keeps them all.

    Raises:
        ValueError: if t is not positive.

    >>> uniformity(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]))
    tensor(-4.3963)
    """
    if not 0 < t < math.inf:
        raise ValueError(f"t is the sharpness of the potential and positive, got {t}")
    units, has_direction = directions(points)
    units = units[has_direction]
    n = len(units)
    if n < 2:
        return points.sum() * math.nan
    height, sums = max(BLOCK // n, 1), []
    for start in range(0, n - 1, height):  # so every block holds a pair
        later = units[start + 1 :]
        cosines = units[start : start + height] @ later.T
        done = torch.ones_like(cosines, dtype=torch.bool).tril(diagonal=-1)  # i < j only
        exponents = (2 * t * (cosines - 1)).masked_fill(done, -math.inf)  # |u - v|^2 = 2 - 2 u.v
        sums.append(torch.logsumexp(exponents, dim=(0, 1)))
    total = torch.logsumexp(torch.stack(sums), dim=0)
    return (total - math.log(n * (n - 1) / 2)).to(points.dtype)


def isotropic_uniformity(d: int, *, t: float = 2.0) -> float:
    """Return the uniformity to expect of many independent directions, even on the sphere of R^d."""
    term, total, k = 1.0, 1.0, 0
    while term > 1e-17 * total:
        term *= t * t / ((d / 2 + k) * (k + 1))
        total, k = total + term, k + 1
    return math.log(total) - 2 * t


def directions(points: Points) -> tuple[Float[Tensor, "n d"], Bool[Tensor, " n"]]:
    """Return the points divided by their norms, in float64, and which have one; zero vectors stay zero."""
    rows = in_double(points)
    size = rows.detach().abs().amax(dim=1, keepdim=True)
    has_direction = size > 0
    rows = rows / torch.where(has_direction, size, 1)  # then no square underflows
    length = torch.linalg.vector_norm(torch.where(has_direction, rows, 1), dim=1, keepdim=True)
    return rows / length, has_direction[:, 0]
