"""Unit vectors for losses: in the precision of the points, without a look at their contents."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from conescope._types import Points


def unit_vectors(points: Points) -> tuple[Points, Bool[Tensor, " n"]]:
    """Return the points divided by their lengths, and which of them have a direction.

    A vector whose coordinates are all below the square root of the smallest normal number (1e-19 in
    float32) counts as zero: it has no direction, stays zero and gets gradient zero. For all others the
    gradient, which goes as 1 / length, is finite.

    >>> unit_vectors(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))[0]
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    size: Float[Tensor, "n 1"] = points.detach().abs().amax(dim=1, keepdim=True)
    found = ~(size < torch.finfo(points.dtype).tiny ** 0.5)  # so that NaN is found, and stays NaN
    rows = torch.where(found, points, 0) / torch.where(found, size, 1)  # no square leaves the range
    length = torch.linalg.vector_norm(torch.where(found, rows, 1), dim=1, keepdim=True)
    return rows / length, found[:, 0]
