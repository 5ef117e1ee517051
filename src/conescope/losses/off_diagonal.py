"""The squares off the diagonal of a covariance, by whichever product is smaller."""

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Points, Scalar


def off_diagonal_squares(first: Points, second: Points) -> tuple[Scalar, Float[Tensor, " d"]]:
    """Return the sum of squares off the diagonal of first^T second (d, d), and its diagonal.

    With more dimensions than points that matrix is not formed, as |A^T B|^2 is the inner product of the
    Gram matrices A A^T and B B^T, both (n, n). The cost is min(n, d) n d.

    >>> off_diagonal_squares(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]))  # [[3, 4], [6, 8]]
    (tensor(52.), tensor([3., 8.]))
    """
    n, d = first.shape
    diagonal = (first * second).sum(dim=0)
    if d > n:
        grams = first @ first.T, second @ second.T
        squares = (grams[0] * grams[1]).sum() - diagonal.square().sum()
    else:
        on_diagonal = torch.eye(d, dtype=torch.bool, device=first.device)
        squares = (first.T @ second).masked_fill(on_diagonal, 0).square().sum()
    return squares - squares.detach().clamp(max=0), diagonal  # rounding may have left it below zero
