"""Points made ready for their losses: in full precision, and centered; and what too few or bad points give.

What is here looks at no contents, so that no loss waits for an accelerator; NaN runs through.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._check import check_points
from conescope._types import Clouds, Points


@contextmanager
def full_precision(points: Points) -> Iterator[Points]:
    """Give the points in float32 (float64 for float64 points), with autocast switched off."""
    check_points(points)
    with torch.autocast(points.device.type, enabled=False):
        yield points if points.dtype == torch.float64 else points.float()


def centered_rows(rows: Clouds) -> Clouds:
    """Return the rows, at least one a cloud, minus their mean, as a new tensor; equal ones give zeros."""
    centered: Clouds = _Centered.apply(rows)  # type: ignore[no-untyped-call]
    return centered


def largest_of(rows: Clouds) -> Float[Tensor, "*batch"]:
    """Return the greatest size of a coordinate of each cloud, detached, in two passes without a copy."""
    numbers = rows.detach().flatten(-2)
    return torch.maximum(numbers.amax(dim=-1), -numbers.amin(dim=-1))


def unit_of(largest: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Return the largest coordinate as the unit of a cloud, or 1 where 1 / size might overflow."""
    return torch.where(largest < torch.finfo(largest.dtype).tiny ** 0.5, 1, largest)


def zero_loss(rows: Clouds) -> Float[Tensor, "*batch"]:
    """Return the loss of too few points: 0 with gradient 0, or NaN if a point is not finite."""
    return (rows * 0).sum(dim=(-2, -1))


def spoiled_by_nan(loss: Float[Tensor, "*batch"], rows: Clouds) -> Float[Tensor, "*batch"]:
    """Return the loss of each cloud, NaN if a point of it is not finite, in value and in gradient."""
    if rows.shape[-1] == 0 or rows.shape[-2] == 0:
        return loss
    # the largest is finite only if all are; a look at each number makes four copies
    return loss * torch.where(torch.isfinite(largest_of(rows)), 1.0, math.nan)


class _Centered(torch.autograd.Function):
    """x - mean x, and so its gradient; step by step that takes three copies."""

    generate_vmap_rule = True

    @staticmethod
    def forward(rows: Tensor) -> Tensor:
        shifted = rows - rows[..., :1, :]
        return shifted.sub_(shifted.mean(dim=-2, keepdim=True))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad - grad.mean(dim=-2, keepdim=True)
