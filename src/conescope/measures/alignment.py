"""Alignment: do two views of the same thing look the same way?

With pairs (x_i, y_i), such as two sentences of one meaning, u_i = x_i / |x_i| and v_i = y_i / |y_i|,

    A = mean |u_i - v_i|^a,    a = 2:  A = 2 - 2 mean cos(x_i, y_i).

0 means that each point looks the same way as its partner, 2^a that each looks the opposite way. For
directions independent of each other it is 2 at a = 2. Collapse scores 0: read it with `uniformity`.
Unchanged by rotation of both and by scaling of any single point; translation changes it.

Reference: Wang and Isola (2020), arXiv:2005.10242.
"""

import math

import torch

from conescope._types import Points, Scalar
from conescope.measures.uniformity import directions


def alignment(points: Points, partners: Points, *, exponent: float = 2.0) -> Scalar:
    """Return the alignment of points with their partners, from 0 to 2^exponent; the lower, the closer.

    A pair with a zero vector is left out and gets no gradient; no pair gives nan. Where a point and its
    partner look exactly the same way the gradient is 0.

    Args:
        points: of shape (n, d).
        partners: of the same shape; row i is the partner of row i of the points.
        exponent: positive, of the distance of a pair.

    Raises:
        ValueError: if the shapes differ, a row holds NaN or infinity, or the exponent is not positive.

    >>> alignment(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor(1.)
    """
    if not 0 < exponent < math.inf:
        raise ValueError(f"exponent must be positive, got {exponent}")
    if points.shape != partners.shape:
        raise ValueError(
            "partners have the shape of the points, row i being the partner of point i: "
            f"expected {tuple(points.shape)}, got {tuple(partners.shape)}"
        )
    one, has_one = directions(points)
    try:
        other, has_other = directions(partners)
    except (TypeError, ValueError) as problem:
        raise type(problem)(f"partners: {problem}") from None
    counted = has_one & has_other
    squares = (one - other).square().sum(dim=1)
    apart = counted & (squares > 0)
    lengths = torch.where(apart, torch.where(apart, squares, 1) ** (exponent / 2), 0)
    return (lengths.sum() / counted.sum()).to(points.dtype)
