"""Any loss with a weight that depends on the step.

warmup until N   min(1, step / N)                 off at first, on from step N
cosine until N   (1 + cos(pi step / N)) / 2       on at first, off from step N
until N          1 before step N, 0 from then on
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from conescope._types import Labels, Points, Scalar
from conescope.losses.wrapper import Loss, Wrapper, layers_of, observe_every, observed_by

Shape = Literal["warmup", "cosine", "until"]
Schedule: TypeAlias = Callable[[int], float] | tuple[Shape, int]


def scheduled_weight(schedule: Schedule, step: int) -> float:
    """Return the weight at a step, counted from 0.

    >>> [scheduled_weight(("warmup", 4), step) for step in (0, 1, 4, 9)]
    [0.0, 0.25, 1.0, 1.0]

    Raises:
        ValueError: if a function gives a weight that is not finite.
    """
    if callable(schedule):
        weight = float(schedule(step))
        if not math.isfinite(weight):
            raise ValueError(f"a schedule must give finite weights, got {weight} at step {step}")
        return weight
    shape, steps = schedule
    done = min(step / steps, 1.0)
    if shape == "warmup":
        return done
    return (1 + math.cos(math.pi * done)) / 2 if shape == "cosine" else float(done < 1)


class Scheduled(Wrapper):
    """A loss whose weight is a function of the step.

    Calls in training mode are counted. One step may take several: without `gather` a Trainer that
    accumulates k micro-batches calls the loss k times a step; with `calls_per_step=k` the weight then
    changes once a step. In eval mode the weight is that of the next training call, and nothing is counted. A
    weight of 0 gives gradient 0, but the loss inside still runs, so that what it observes and remembers
    goes on.

    Around `Balanced` it scales the part of the gradient that was asked for; around `Layers`, all layers.
    The count of calls is in the state_dict. `observed` has `scheduled_weight` and what is inside.

    Args:
        loss: any loss.
        schedule: ("warmup", steps), ("cosine", steps), ("until", steps), or a function from step to weight.
        calls_per_step: of the loss in training mode.
    """

    def __init__(self, loss: Loss, schedule: Schedule, *, calls_per_step: int = 1) -> None:
        super().__init__(loss)
        if not callable(schedule):
            shape, steps = schedule
            if shape not in get_args(Shape):
                raise ValueError(
                    f"schedule must be a function or one of {', '.join(get_args(Shape))} with its steps, "
                    f"got {shape!r}"
                )
            if steps < 1:
                raise ValueError(f"a schedule must have at least 1 step, got {steps}")
        if calls_per_step < 1:
            raise ValueError(f"calls_per_step must be at least 1, got {calls_per_step}")
        self.schedule = schedule
        self.calls_per_step = calls_per_step
        self.calls = 0
        self.observe_every = observe_every(loss)
        self.layers = layers_of(loss)
        self._weight = self.weight

    @property
    def weight(self) -> float:
        """The weight of the next call."""
        return scheduled_weight(self.schedule, self.calls // self.calls_per_step)

    def forward(self, points: Points | Mapping[int, Tensor], labels: Labels | None = None) -> Scalar:
        self._weight = self.weight
        value = self.inner(points, labels)
        self.observed = observed_by(self.loss) | {
            "scheduled_weight": torch.full((), self._weight, device=value.device)
        }
        self.calls += self.training
        return self._weight * value

    def observe(self, task_gradient_norm: Tensor, own_gradient_norm: Tensor) -> None:
        """Pass the norms of a step on to the loss inside, its own without the weight of the last call."""
        if self._weight:  # at weight 0 there is nothing to learn
            self.loss.observe(task_gradient_norm, own_gradient_norm / abs(self._weight))  # type: ignore[attr-defined]

    def get_extra_state(self) -> dict[str, int]:
        return {"calls": self.calls}

    def set_extra_state(self, state: Any) -> None:
        self.calls = state["calls"]

    def extra_repr(self) -> str:
        return f"schedule={self.schedule}, calls_per_step={self.calls_per_step}"
