"""Any loss of the points of all ranks, with gradients that are right under DistributedDataParallel.

Each of R ranks holds its own points z_r, and all compute the same L = loss(z_1, ..., z_R). Rank r sends
gradient back through its own rows only, which gives (dL/dz_r)(dz_r/dtheta). DistributedDataParallel then
takes the mean over the ranks, (1/R) sum_r (dL/dz_r)(dz_r/dtheta) = (1/R) dL/dtheta. The gradient of the rows
is therefore multiplied by R, so that this mean is exactly dL/dtheta. The value is not scaled. Nothing is
sent in the backward pass: every rank has computed the gradient of its own rows already.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from conescope._check import check_labels
from conescope._types import Labels, Points, Scalar
from conescope.losses.prepared import full_precision
from conescope.losses.wrapper import Loss, Wrapper, check_single_cloud, observed_by


class Gathered(Wrapper):
    """A loss of the points of all ranks of torch.distributed; without it, or on one rank, the loss itself.

    All ranks get the same value, and the mean of their parameter gradients is the gradient of that value, as
    DistributedDataParallel forms it. Where gradients are added over the ranks instead of averaged,
    divide them by the number of ranks. All ranks must call it the same number of times, and a random loss
    inside must draw the same numbers on all of them. Gathered are the points, in float32 (or float64), and
    the labels, in the order of the ranks; a rank may have no points at all.

    Reading the sizes of the ranks waits for the device; with `equal_sizes` that step is left out.
    `observed` is that of the loss inside, equal on all ranks.

    Args:
        loss: a loss of one point cloud.
        equal_sizes: promise that all ranks always have as many points (`drop_last=True`) of one dimension,
            and all have labels or none has. A broken promise is left to torch's all_gather.

    Raises:
        ValueError: on every rank, if dimension, precision, or having labels differ between ranks.
    """

    def __init__(self, loss: Loss, *, equal_sizes: bool = False) -> None:
        super().__init__(loss)
        check_single_cloud(loss, "Gathered")
        self.equal_sizes = equal_sizes

    def forward(self, points: Points, labels: Labels | None = None) -> Scalar:
        if labels is not None:
            check_labels(labels, len(points))
        with full_precision(points) as rows:
            if ranks() > 1:
                sizes = [len(rows)] * ranks() if self.equal_sizes else _sizes(rows, labels)
                rows = _GatherRows.apply(rows, sizes)  # type: ignore[no-untyped-call]
                labels = None if labels is None else _gather(labels, sizes)
            value = self.inner(rows, labels)
        self.observed = observed_by(self.loss)
        return value

    def extra_repr(self) -> str:
        return f"equal_sizes={self.equal_sizes}"


def ranks() -> int:
    """Return how many processes work together: 1 outside of torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_ranks(values: Tensor) -> Tensor:
    """Return the sum over the ranks, the same on all; without gradient."""
    values = values.detach().clone()
    if ranks() > 1:
        dist.all_reduce(values)
    return values


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, sizes: list[int]) -> Tensor:
        ctx.sizes = sizes
        return _gather(points, sizes)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        own = torch.split(gradient, ctx.sizes)[dist.get_rank()]
        return own * len(ctx.sizes), None  # see the top of the file


def _gather(rows: Tensor, sizes: list[int]) -> Tensor:
    """Return the rows of all ranks, in their order; they travel padded to the largest size."""
    padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
    padded[: len(rows)] = rows.detach()
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def _sizes(points: Tensor, labels: Tensor | None) -> list[int]:
    """Return how many points each rank has; every rank sees the same and so raises together."""
    own = torch.tensor(
        [len(points), points.shape[1], points.element_size(), labels is not None], device=points.device
    )
    parts = [torch.empty_like(own) for _ in range(ranks())]
    dist.all_gather(parts, own)
    found: list[list[int]] = torch.stack(parts).tolist()
    names = ("the dimension of the points", "the precision of the points", "having labels")
    for column, name in enumerate(names, start=1):
        values = [row[column] for row in found]
        if len(set(values)) > 1:
            raise ValueError(f"{name} must be the same on every rank, got {values} from rank 0 on")
    return [row[0] for row in found]
