"""Maximum explainable variance: how well could one vector stand for a type, whatever its context?

For the m occurrences of a type, as rows of a matrix with singular values sigma_i,

    MEV = sigma_1^2 / sum_i sigma_i^2,

from 1/m to 1; the matrix is not centered. It falls with m, so the adjusted form subtracts the MEV of as many
random tokens. By the Gram matrix of the m rows, whose eigenvalues are sigma_i^2.

Reference: Ethayarajh (2019), arXiv:1909.00512, by the definition in the text (its code centers).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def grams(points: Float[Tensor, "sets m d"]) -> Float[Tensor, "sets m m"]:
    """Return the Gram matrix of each set, in float64; scaled, for nothing here depends on scale."""
    points = points.double()
    size = points.abs().amax(dim=(1, 2), keepdim=True)
    points = points / torch.where(size > 0, size, 1)
    return points @ points.mT


def explainable_variance(
    gram: Float[Tensor, "sets m m"], present: Bool[Tensor, "sets m"]
) -> Float[Tensor, " sets"]:
    """Return the MEV of the rows of each set that are present; nan where they are none, or all zero."""
    chosen = torch.where(present[:, :, None] & present[:, None, :], gram, 0)
    if not torch.isfinite(chosen).all():
        return chosen.new_full((len(chosen),), torch.nan)
    total = chosen.diagonal(dim1=1, dim2=2).sum(dim=1)
    first = torch.linalg.eigvalsh(chosen)[:, -1] if chosen.numel() else total
    return torch.where(total > 0, first / torch.where(total > 0, total, 1), torch.nan)


def of_first_rows(gram: Float[Tensor, "1 m m"], present: Bool[Tensor, " m"]) -> Float[Tensor, " available"]:
    """Return the MEV of the first row that is present, of the first two, and so on."""
    order = present.cumsum(0)
    available = torch.arange(1, int(order[-1]) + 1, device=gram.device)
    nested = present & (order[None, :] <= available[:, None])
    return explainable_variance(gram.expand(len(available), -1, -1), nested)
