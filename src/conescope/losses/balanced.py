"""Any loss with a weight that follows the task: its gradient is a given share of both.

    share  = w ||g|| / (w ||g|| + ||t||)       g, t: gradients of loss and task at the embeddings
    so w*  = share / (1 - share) * ||t|| / ||g||

with moving averages of the two norms. One setting then serves models and losses whose scales differ by
orders of magnitude.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from conescope._types import Labels, Points, Scalar
from conescope.losses.gathered import sum_over_ranks
from conescope.losses.scheduled import Scheduled
from conescope.losses.wrapper import Loss, Wrapper, layers_of, observe_every, observed_by

LARGEST_FACTOR = 2.0  # of the weight in one step, up or down
WEIGHTS = (1e-8, 1e8)  # the weight stays between them, so that it can come back from either end


class Balanced(Wrapper):
    """A loss whose weight is adapted so that its gradient is `share` of the sum of its norm and the task's.

    It learns the norms from `observe`, which `conescope.training.regularize` calls after every `every`-th
    step; a training loop of yours calls it with the norms it measured. Without these calls the weight stays
    at `start`. The first call sets the averages. The weight changes by a factor of at most 2 a call and stays
    between 1e-8 and 1e8: from 1e-3 to 1 takes ten calls. A call with a norm that is not finite, or with no
    gradient of the loss itself, changes nothing. No call waits for the device.

    Across ranks the norms are those of all ranks together, so that the weight is the same on each.
    A positive share keeps the pull at a steady part of the task's: as the task converges and its gradient
    vanishes, the weight goes down with it.

    `weight`, `task_norm` and `own_norm` are buffers, in the state_dict. `observed` has `balanced_weight` and
    what is inside.

    Args:
        loss: any loss, such as `Layers`; not `Scheduled`, whose weight would be undone: put it outside.
        share: above 0 and below 1.
        start: the first weight. Low is safe: a weight that is too high for a few steps can wreck a pretrained
            model, one that is too low for ten calls costs nothing.
        momentum: of the averages of the norms, from 0 (the last norms only) to below 1.
        every: how many steps apart the norms are measured, at least 1; each measurement costs
            a second backward pass from the task to the embeddings.
    """

    weight: Tensor
    task_norm: Tensor
    own_norm: Tensor

    def __init__(
        self,
        loss: Loss,
        share: float = 0.05,
        momentum: float = 0.9,
        every: int = 1,
        *,
        start: float = 1e-3,
    ) -> None:
        super().__init__(loss)
        if isinstance(loss, Scheduled):
            raise ValueError(
                "Balanced undoes the weight of a schedule inside; write Scheduled(Balanced(loss), ...)"
            )
        if observe_every(loss):
            raise ValueError("one Balanced is enough: the loss inside has a weight that is adapted already")
        if not 0 < share < 1:
            raise ValueError(f"share must be above 0 and below 1, got {share}")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be at least 0 and below 1, got {momentum}")
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        if not WEIGHTS[0] <= start <= WEIGHTS[1]:
            raise ValueError(f"start must be from {WEIGHTS[0]} to {WEIGHTS[1]}, got {start}")
        self.share = share
        self.momentum = momentum
        self.observe_every = every
        self.layers = layers_of(loss)
        self.register_buffer("weight", torch.full((), start))
        self.register_buffer("task_norm", torch.full((), torch.nan))  # until the first call
        self.register_buffer("own_norm", torch.full((), torch.nan))

    def forward(self, points: Points | Mapping[int, Tensor], labels: Labels | None = None) -> Scalar:
        value = self.inner(points, labels)
        if self.weight.device != value.device:
            self.to(value.device)
        self.observed = observed_by(self.loss) | {"balanced_weight": self.weight.clone()}
        return self.weight * value

    @torch.no_grad()
    def observe(self, task_gradient_norm: Scalar, own_gradient_norm: Scalar) -> None:
        """Learn from the norms of the two gradients at the embeddings, and set the next weight.

        Args:
            task_gradient_norm: of the task, over all points of a step.
            own_gradient_norm: of this loss as it was called, that is with its weight.
        """
        norms = torch.stack([task_gradient_norm, own_gradient_norm]).to(self.weight)
        task, own = sum_over_ranks(norms.square()).sqrt()
        own = own / self.weight
        usable = torch.isfinite(task) & torch.isfinite(own) & (own > 0)
        for name, norm in (("task_norm", task), ("own_norm", own)):
            before = getattr(self, name)
            after = torch.lerp(norm, before, self.momentum)
            after = torch.where(torch.isnan(before), norm, after)
            setattr(self, name, torch.where(usable, after, before))
        wanted = self.share / (1 - self.share) * self.task_norm / self.own_norm
        bounded = wanted.clamp(self.weight / LARGEST_FACTOR, self.weight * LARGEST_FACTOR).clamp(*WEIGHTS)
        self.weight = torch.where(usable, bounded, self.weight)

    def extra_repr(self) -> str:
        return f"share={self.share}, momentum={self.momentum}, every={self.observe_every}"
