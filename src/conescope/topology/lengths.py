"""Lengths of edges, differentiable in their end points.

A bar's death is the length of one edge, so its gradient touches two points: the unit vector from one to
the other, with both signs. Nothing of size n x n is kept for backward.
"""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._types import Points
from conescope.topology.placing import ORDINARY


def edge_lengths(points: Points, edges: Int64[Tensor, "edges 2"]) -> Float[Tensor, " edges"]:
    """Return the length of each edge (u, v) between rows of the points: float64 for float64, else float32.

    An edge of length zero has gradient zero. The gradient has a gradient.

    >>> edge_lengths(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0, 1]]))
    tensor([5.])
    """
    wide = points if points.dtype == torch.float64 else points.float()
    lengths: Float[Tensor, " edges"] = _EdgeLengths.apply(wide, edges)[0]  # type: ignore[no-untyped-call]
    return lengths


class _EdgeLengths(torch.autograd.Function):
    """Gather, subtract, norm; backward adds pulls to the end points with two `index_add`."""

    @staticmethod
    def forward(points: Tensor, edges: Tensor) -> tuple[Tensor, Tensor, bool]:
        differences = _differences(points, edges)
        lengths = torch.linalg.vector_norm(differences, dim=1)
        ordinary = len(lengths) == 0 or (lengths.is_cpu and _ordinary(lengths))
        if not ordinary:
            unit = _unit(differences)  # squares of very small or large lengths leave the range
            lengths = torch.linalg.vector_norm(differences / unit, dim=1) * unit
        return lengths, differences, ordinary

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor, bool]) -> None:
        lengths, differences, ctx.ordinary = output
        ctx.mark_non_differentiable(differences)
        ctx.save_for_backward(*inputs, lengths, differences)

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: object) -> tuple[Tensor, None]:
        points, edges, lengths, differences = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of this gradient is wanted: it starts at the points
            differences, lengths = _differences(points, edges), edge_lengths(points, edges)
            pull = _pull(differences, lengths, grad)
        elif ctx.ordinary:  # and none is zero
            pull = differences * (grad / lengths)[:, None]
        else:
            pull = _pull(differences, lengths, grad)
        moved = torch.zeros_like(points).index_add_(0, edges[:, 0], pull)
        return moved.index_add_(0, edges[:, 1], pull, alpha=-1), None


def _pull(differences: Tensor, lengths: Tensor, grad: Tensor) -> Tensor:
    """Return the unit vectors of the edges times their gradients; zero for edges of length zero."""
    apart = lengths > 0
    directions = differences / torch.where(apart, lengths, 1)[:, None]  # 1 over a length may overflow
    return directions * torch.where(apart, grad, 0)[:, None]


def _differences(points: Tensor, edges: Tensor) -> Tensor:
    return points.index_select(0, edges[:, 0]).sub_(points.index_select(0, edges[:, 1]))


def _ordinary(lengths: Tensor) -> bool:
    low, high = (float(end) for end in torch.aminmax(lengths))
    return low > 1 / ORDINARY and high < ORDINARY


def _unit(differences: Tensor) -> Tensor:
    """Return a power of two for all of them, in which squares do not overflow and vanish only when tiny."""
    low, high = torch.aminmax(differences.detach())
    exponent = torch.frexp(torch.maximum(-low, high)).exponent
    far, least = (50, -126) if differences.dtype == torch.float32 else (450, -1022)
    return torch.exp2((exponent - far).clamp(min=least).to(differences.dtype))
