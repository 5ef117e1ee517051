"""Directions: every point divided by its length. Zero vectors have none.

Directions do not change when single points are scaled, so each row is first divided by its largest
coordinate: rows of very different length then keep all their digits.
"""

import torch
from jaxtyping import Bool
from torch import Tensor

from conescope._types import Points
from conescope.measures.centering import in_double


def directions(points: Points) -> tuple[Points, Bool[Tensor, " n"]]:
    """Return unit vectors in float64, zero for zero vectors, and which points have a direction.

    Zero vectors get no gradient.

    >>> directions(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))[0]
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]], dtype=torch.float64)
    """
    rows = in_double(points)
    size = rows.detach().abs().amax(dim=1, keepdim=True)
    found = size > 0
    rows = torch.where(found, rows / torch.where(found, size, 1), 0)
    units: Points = rows / torch.where(found, torch.linalg.vector_norm(rows, dim=1, keepdim=True), 1)
    return units, found[:, 0]
