"""Unit vectors for losses: in the precision of the points, without a look at their contents."""

from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from conescope._types import Clouds


def unit_vectors(points: Clouds) -> tuple[Clouds, Bool[Tensor, "*batch n"]]:
    """Return the points of a cloud, or of several, divided by their lengths, and which have a direction.

    A vector whose coordinates are all below the square root of the smallest normal number (1e-19 in
    float32) counts as zero: it has no direction, stays zero and gets gradient zero. For all others the
    gradient, which goes as 1 / length, is finite. The gradient has a gradient.

    >>> unit_vectors(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))[0]
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    numbers = points.detach()  # their greatest size from two passes, with no copy of absolute values
    size = torch.maximum(numbers.amax(dim=-1, keepdim=True), -numbers.amin(dim=-1, keepdim=True))
    found = ~(size < torch.finfo(points.dtype).tiny ** 0.5)  # so that NaN is found, and stays NaN
    size = torch.where(found, size, torch.inf)
    return _UnitVectors.apply(points, size)[0], found[..., 0]  # type: ignore[no-untyped-call]


class _UnitVectors(torch.autograd.Function):
    """u = x / |x|, with gradient (g - u <u, g>) / |x|; lengths come in the unit `size`, which is a constant.

    A row of size infinity becomes zero. Step by step this would take five tensors as large as the points, and
    nine for the gradient; passes over memory are most of what a small loss costs.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(points: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        rows = points / size  # no square leaves the range
        lengths = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
        lengths = torch.where(lengths == 0, 1, lengths)
        return rows.div_(lengths), lengths

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*output, inputs[1])

    @staticmethod
    def backward(ctx: Any, of_units: Tensor, of_lengths: Tensor) -> tuple[Tensor, None]:
        # both outputs have gradients, so that a gradient of this gradient finds its way
        units, lengths, size = ctx.saved_tensors
        along = (of_units * units).sum(dim=-1, keepdim=True)
        across = torch.addcmul(of_units, units, along - of_lengths * lengths, value=-1)
        scale = 1 / lengths / size
        return across * scale if torch.is_grad_enabled() else across.mul_(scale), None
