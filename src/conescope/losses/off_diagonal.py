"""The squares off the diagonal of a covariance, by whichever product is smaller."""

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Clouds
from conescope.losses.gram import column_squares, gram


def off_diagonal_squares(
    first: Clouds, second: Clouds | None = None
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch d"]]:
    """Return the sum of squares off the diagonal of first^T second (d, d), and its diagonal.

    Without a second, the first is both.

    With more dimensions than points that matrix is not formed, as |A^T B|^2 is the inner product of the
    Gram matrices A A^T and B B^T, both (n, n). The cost is min(n, d) n d.

    >>> off_diagonal_squares(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]))  # [[3, 4], [6, 8]]
    (tensor(52.), tensor([3., 8.]))
    """
    n, d = first.shape[-2:]
    diagonal = column_squares(first) if second is None else (first * second).sum(dim=-2)
    if d > n:
        products = gram(first)
        others = products if second is None else gram(second)
        squares = (products * others).sum(dim=(-2, -1)) - diagonal.square().sum(dim=-1)
    else:
        on_diagonal = torch.eye(d, dtype=torch.bool, device=first.device)
        products = gram(first.mT) if second is None else first.mT @ second
        squares = products.masked_fill(on_diagonal, 0).square().sum(dim=(-2, -1))
    return squares - squares.detach().clamp(max=0), diagonal  # rounding may have left it below zero
