"""Curvature visibility: how much of a local patch leaves its tangent direction.

A patch u -> (u, kappa u^2 / 2) with u ~ N(0, s^2) has the variances s^2 along the tangent and kappa^2 s^4 / 2
along the normal, so

    visibility = second principal variance / first = kappa^2 s^2 / 2    (as long as that is below 1):

small patches look flat. A type of token whose vectors stay close to each other shows less of the curvature
around them than one that spreads, without the surface being any different.
"""

import math

from conescope._types import Points, Scalar
from conescope.measures.spectrum import spectrum


def curvature_visibility(points: Points) -> Scalar:
    """Return the second principal variance of a patch over its first, in [0, 1].

    Two points, or points on a line, have 0. Fewer, one dimension, or coincident points, give nan.

    >>> import torch
    >>> curvature_visibility(torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))  # 2 / 18
    tensor(0.1111)
    """
    squares = spectrum(points).squares
    if len(points) < 2 or points.shape[1] < 2:
        return points.sum() * math.nan
    return (squares[1] / squares[0]).to(points.dtype)
