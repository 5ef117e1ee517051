"""Drift: how far is the mean of the points from the origin?

    drift = |mean_i x_i|,    relative drift = |mean_i x_i| / mean_i |x_i|.

The first is in the unit of the points. The second has none and lies between 0 (the points cancel out)
and 1 (all of them on one ray); n points of an isotropic Gaussian give about 1 / sqrt(n). Both are
unchanged by rotation, the second also by scaling; translation is what they measure.

If all points have the same length, the relative drift r and the mean cosine A say the same thing:
A = (n r^2 - 1) / (n - 1).

Reference: Godey, de la Clergerie and Sagot (2024), arXiv:2401.12143.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Points, Scalar
from conescope.measures.centering import in_double
from conescope.measures.norms import unit_of
from conescope.scale.moments import Moments


def drift(points: Points) -> Scalar:
    """Return the length of the mean of the points, in their unit. Without a point it is nan.

    A result beyond the range of the dtype (65504 in float16) is inf.

    >>> drift(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]))  # |(2/3, 1)|
    tensor(1.2019)
    """
    rows = in_double(points)
    return (_length(rows.mean(dim=0)) * unit_of(points, rows)).to(points.dtype)


def drift_from_moments(moments: Moments) -> Scalar:
    """Return `drift` of any points with these moments."""
    return _length(moments.mean)


def relative_drift(points: Points) -> Scalar:
    """Return the length of the mean over the mean length, from 0 to 1.

    A zero vector counts as a point of length 0. If all points are zero, or there is none, it is nan.

    >>> relative_drift(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))  # |(1.5, 2)| / 3.5
    tensor(0.7143)
    """
    rows = in_double(points)
    return _relative(rows.mean(dim=0), torch.linalg.vector_norm(rows, dim=1).mean()).to(points.dtype)


def relative_drift_from_moments(moments: Moments) -> Scalar:
    """Return `relative_drift` of any points with these moments."""
    return _relative(moments.mean, moments.norm_mean)


def _length(mean: Float[Tensor, " d"]) -> Scalar:
    length: Scalar = torch.linalg.vector_norm(mean)
    return length


def _relative(mean: Float[Tensor, " d"], norm_mean: Scalar) -> Scalar:
    return _length(mean) / norm_mean
