"""Mean cosine: do the points look the same way from the origin?

With u_i = x_i / |x_i|, the mean over all pairs i < j, exact and without a loop over pairs:

    A = 2 / (n (n - 1)) sum_{i<j} u_i . u_j = (|sum_i u_i|^2 - n) / (n (n - 1)).

1 means that all points lie on one ray (the narrow cone, or collapse), 0 that directions are
balanced. The least value is -1 / (n - 1). Unchanged by rotation and by scaling, also of single
points; translation changes it, and centering takes most of it away, whatever the cloud: then
A is near -1 / (n - 1) and tells little.

Reference: Ethayarajh (2019), arXiv:1909.00512, with sampled pairs; the closed form as in
Machina and Mercer (2024), NAACL.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._check import check_points
from conescope._closed_forms import mean_cosine_from_sum
from conescope._types import Points, Scalar
from conescope.measures.centering import centered, in_double
from conescope.scale.moments import Moments

# A centered row this short, against the longest one, is a point at the mean and a rounding error.
ROUNDING = 64 * torch.finfo(torch.float64).eps
MANY = 1024  # points from which on sums of directions are taken in the precision of the points
PIECE = 1 << 16  # rows at a time: halves are made float32 on the way
FEW = 128  # rows whose directions are summed without rounding worth the name
SQUARABLE = 1e14  # norms up to this, and down to its inverse, have float32 squares


def mean_cosine(points: Points, *, center: bool = False) -> Scalar:
    """Return the mean cosine over all pairs of points, from -1 / (n - 1) to 1.

    A zero vector has no direction: it is left out, with its pairs, and gets no gradient. With
    `center=True` the mean is subtracted first, and a point at the mean (to rounding) is left out.
    Fewer than two directions give nan; centered coincident points have none. It is computed in float64;
    from 1024 points on, directions are summed 128 at a time in the precision of the points, float32 at least.

    >>> mean_cosine(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]))  # sqrt(2) / 3
    tensor(0.4714)
    """
    check_points(points)
    if not center and not points.requires_grad and len(points) >= MANY:
        direction_sum = _direction_sum(points)
        if direction_sum is not None:
            return mean_cosine_from_sum(direction_sum, torch.tensor(len(points))).to(points.dtype)
    rows = centered(points) if center else in_double(points)
    if len(rows) < 2:
        return points.sum() * math.nan
    size = rows.detach().abs().amax(dim=1, keepdim=True)
    has_direction = size > (ROUNDING * size.amax() if center else 0)
    rows = torch.where(has_direction, rows / torch.where(has_direction, size, 1), 0)
    units = rows / torch.where(has_direction, torch.linalg.vector_norm(rows, dim=1, keepdim=True), 1)
    return mean_cosine_from_sum(units.sum(dim=0), has_direction.sum()).to(points.dtype)


def mean_cosine_from_moments(moments: Moments) -> Scalar:
    """Return `mean_cosine` of any points with these moments."""
    return mean_cosine_from_sum(moments.direction_sum, torch.tensor(moments.directions))


def _direction_sum(points: Points) -> Float[Tensor, " d"] | None:
    """Return the sum of all directions; None if a norm is 0, extreme, or not finite.

    A few rows are summed in the precision of the points (float32 for halves), and these sums in float64.
    """
    total = torch.zeros(points.shape[1], dtype=torch.float64, device=points.device)
    for piece in torch.split(points, PIECE):
        rows = piece if piece.dtype == torch.float64 else piece.float()
        norms = torch.linalg.vector_norm(rows, dim=1)
        if not (norms.min() > 1 / SQUARABLE and norms.max() < SQUARABLE):  # so for nan, too
            return None
        inverse, even = norms.reciprocal(), len(rows) // FEW * FEW
        groups = torch.bmm(inverse[:even].view(-1, 1, FEW), rows[:even].reshape(-1, FEW, rows.shape[1]))
        total += groups.sum(dim=(0, 1), dtype=torch.float64)
        total += (inverse[even:] @ rows[even:]).double()
    return total
