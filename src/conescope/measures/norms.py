"""Norms: how long are the points, and do their lengths differ?

    mean norm = mean_i |x_i|,    norm variation = sqrt(mean_i (|x_i| - mean norm)^2) / mean norm.

The mean norm is in the unit of the points. The variation has none: 0 means that all points lie on a
sphere about the origin; sqrt(n - 1), the greatest value, that all but one of them are zero. n points of
an isotropic Gaussian give about 1 / sqrt(2 d). Both are unchanged by rotation, the second also by scaling.

Cosines do not see norms, inner products and distances do. Where the variation is large, a few long points
decide means, variances and principal directions.

Reference: Ethayarajh (2019), arXiv:1909.00512, whose code stores mean and standard deviation by layer.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Points, Scalar
from conescope.measures.centering import in_double
from conescope.scale.moments import Moments


def mean_norm(points: Points) -> Scalar:
    """Return the mean length of the points, in their unit. Without a point it is nan.

    A result beyond the range of the dtype (65504 in float16) is inf.

    >>> mean_norm(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]))  # (3 + sqrt(2)) / 3
    tensor(1.4714)
    """
    rows = in_double(points)
    lengths = torch.linalg.vector_norm(rows, dim=1)
    mean: Scalar = lengths.mean() * unit_of(points, rows)
    return mean.to(points.dtype)


def mean_norm_from_moments(moments: Moments) -> Scalar:
    """Return `mean_norm` of any points with these moments."""
    return moments.norm_mean


def norm_variation(points: Points) -> Scalar:
    """Return the standard deviation of the lengths over their mean, from 0 to sqrt(n - 1).

    The deviation is the population's: the mean of squares, not their sum over n - 1. A zero vector has
    length 0. If all points are zero, or there is none, it is nan. Where all lengths are equal, the
    gradient is 0.

    >>> norm_variation(torch.tensor([[3.0, 4.0], [0.0, 1.0]]))  # lengths 5 and 1
    tensor(0.6667)
    """
    lengths = torch.linalg.vector_norm(in_double(points), dim=1)
    mean = lengths.mean()
    return _variation((lengths - mean).square().sum(), mean, len(points)).to(points.dtype)


def norm_variation_from_moments(moments: Moments) -> Scalar:
    """Return `norm_variation` of any points with these moments."""
    return _variation(moments.norm_scatter, moments.norm_mean, moments.n)


def _variation(scatter: Scalar, mean: Scalar, n: int) -> Scalar:
    positive = scatter > 0  # the square root has no slope at 0
    deviation = torch.where(positive, torch.where(positive, scatter / max(n, 1), 1).sqrt(), 0)
    return deviation / mean


def unit_of(points: Points, rows: Points) -> Float[Tensor, ""]:
    """Return the power of two by which `in_double` divided the points to make these rows."""
    if rows.numel() == 0:
        return rows.new_ones(())
    largest, made = points.detach().abs().amax().double(), rows.detach().abs().amax()
    return torch.where(made > 0, largest / torch.where(made > 0, made, 1), 1)
