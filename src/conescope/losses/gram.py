"""Products of the points of a cloud with each other, and sums of squares, with gradients that write once.

Passes over memory are most of what these cost, of many clouds or many points. Step by step, the gradient of
X X^T is two products and their sum, and that of a square two copies; here each is one.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Clouds


def gram(points: Clouds) -> Float[Tensor, "*batch n n"]:
    """Return X X^T for the points X of a cloud, or of each of several.

    Its gradient, (G + G^T) X for G at the products, has a gradient.

    >>> gram(torch.tensor([[3.0, 4.0], [1.0, 0.0]]))
    tensor([[25.,  3.],
            [ 3.,  1.]])
    """
    products: Tensor = _Gram.apply(points)  # type: ignore[no-untyped-call]
    return products


def column_squares(points: Clouds) -> Float[Tensor, "*batch d"]:
    """Return the sum of squares of each coordinate over the points of a cloud, or of each of several.

    Its gradient, 2 x g for g at a sum, has a gradient.

    >>> column_squares(torch.tensor([[3.0, 4.0], [1.0, 0.0]]))
    tensor([10., 16.])
    """
    squares: Tensor = _ColumnSquares.apply(points)  # type: ignore[no-untyped-call]
    return squares


class _OfPoints(torch.autograd.Function):
    """A function of points alone, which it keeps for its gradient."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)


class _Gram(_OfPoints):
    @staticmethod
    def forward(points: Tensor) -> Tensor:
        return torch.matmul(points, points.mT)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (points,) = ctx.saved_tensors
        return torch.matmul(grad + grad.mT, points)


class _ColumnSquares(_OfPoints):
    @staticmethod
    def forward(points: Tensor) -> Tensor:
        return (points * points).sum(dim=-2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (points,) = ctx.saved_tensors
        return torch.mul(points, 2 * grad[..., None, :])
