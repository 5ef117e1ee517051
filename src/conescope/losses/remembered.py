"""Any loss of the batch and of past batches: a batch of 8 sees a cloud of 512.

    loss(newest remembered points, points of this batch)          gradient to the points of this batch only

Past points are those that the model of then made. They drift away from what the model of now would make, the
faster the larger the learning rate; with a size of many steps the loss looks at a cloud that is partly gone.
"""

from typing import Any

import torch
from torch import Tensor

from conescope._check import check_labels
from conescope._types import Labels, Points, Scalar
from conescope.losses.prepared import full_precision
from conescope.losses.wrapper import Loss, Wrapper, check_single_cloud, count, observed_by

UNLABELLED = -1  # as the losses read any negative label


class Remembered(Wrapper):
    """A loss of a cloud of up to `size` points: this batch, and the newest of the past ones.

    The memory is first in, first out. At first it is empty: call t sees t batches, until `size` points are
    there. A loss that is a mean over the points gives a batch of n a gradient of about n / size of what it
    would have alone, which a larger weight makes up for. A batch of `size` points or more sees itself only.

    A row that is not finite makes the loss of this call NaN and is not remembered: the last finite
    row before it takes its place. In eval mode the memory is neither used nor changed. Points that came
    without labels have the label -1 later, which losses per class leave out.

    `memory` (m, d) and `memory_labels` (m,) are buffers, in the state_dict; they follow the device and dtype
    of the points. `observed` has `remembered`, the past points of this call, and what is inside.

    Across ranks, Gathered(Remembered(loss)) sends the batches only, and all ranks remember the same points.
    Remembered(Gathered(loss)) sends the memory of every rank at every call.

    Args:
        loss: a loss of one point cloud.
        size: of the cloud, at least 1.

    Raises:
        ValueError: if the points have another dimension than those remembered; call `reset()` first.
    """

    memory: Tensor
    memory_labels: Tensor

    def __init__(self, loss: Loss, size: int = 512) -> None:
        super().__init__(loss)
        check_single_cloud(loss, "Remembered")
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.size = size
        self.register_buffer("memory", torch.empty(0, 0))
        self.register_buffer("memory_labels", torch.empty(0, dtype=torch.int64))

    def reset(self) -> None:
        """Forget all points."""
        self.memory = self.memory.new_empty(0, 0)
        self.memory_labels = self.memory_labels.new_empty(0)

    def forward(self, points: Points, labels: Labels | None = None) -> Scalar:
        if labels is not None:
            check_labels(labels, len(points))
        with full_precision(points) as rows:
            past, past_labels = self._past(rows)
            used = min(len(past), max(self.size - len(rows), 0)) if self.training else 0
            seen = None if labels is None else torch.cat([past_labels[len(past) - used :], labels])
            value = self.inner(torch.cat([past[len(past) - used :], rows]), seen)
            self.observed = observed_by(self.loss) | {"remembered": count(used, rows)}
            if self.training:
                if labels is None:
                    labels = past_labels.new_full((len(rows),), UNLABELLED)
                newest = torch.cat([past, rows.detach()])[-self.size :]
                newest_labels = torch.cat([past_labels, labels])[-self.size :]
                self.memory, self.memory_labels = _finite(newest, newest_labels)
            return value

    def _past(self, points: Tensor) -> tuple[Tensor, Tensor]:
        if not len(self.memory):
            return points.detach()[:0], self.memory_labels.to(points.device)
        if self.memory.shape[1] != points.shape[1]:
            raise ValueError(
                f"the points remembered have dimension {self.memory.shape[1]}, got points of dimension "
                f"{points.shape[1]}; call reset() to forget them, or use one Remembered for each"
            )
        return self.memory.to(points), self.memory_labels.to(points.device)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        for name in ("memory", "memory_labels"):  # take the shape of what is loaded
            found = state_dict.get(prefix + name)
            if found is not None:
                setattr(self, name, torch.empty_like(found, device=getattr(self, name).device))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        return f"size={self.size}"


def _finite(rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return copies in which the last finite row before it, or else the first, replaces one that is not.

    Without any finite row all are 0. The shapes do not depend on the values: nothing waits for the device.
    """
    if not len(rows):
        return rows, labels
    finite = torch.isfinite(rows).all(dim=1)
    places = torch.arange(len(rows), device=rows.device)
    chosen = torch.where(finite, places, -1).cummax(dim=0).values
    chosen = torch.where(chosen < 0, finite.int().argmax(), chosen)
    return torch.where(finite.any(), rows[chosen], 0.0), labels[chosen]
