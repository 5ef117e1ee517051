"""Steps of training, counted where they happen: behind the step of an optimizer, whoever calls it."""

from collections.abc import Callable
from typing import Any
from weakref import ReferenceType, ref

from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.hooks import RemovableHandle


class StepCounter:
    """Calls back after each step of the first optimizer that turns out to hold weights of a model.

    Of several optimizers of one model, as for two kinds of weights, only one makes a step.
    """

    def __init__(self, model: nn.Module, stepped: Callable[[], None]) -> None:
        self.model = model
        self.stepped = stepped
        self._optimizer: ReferenceType[Optimizer] | None = None
        self._handle: RemovableHandle | None = None

    def open(self) -> None:
        """Begin to count."""
        self._handle = register_optimizer_step_post_hook(self._after)

    def close(self) -> None:
        """End it; also if it never began."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _after(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        known = None if self._optimizer is None else self._optimizer()
        if known is None:
            weights = {id(weight) for weight in self.model.parameters()}
            held = (id(weight) for group in optimizer.param_groups for weight in group["params"])
            if weights.isdisjoint(held):
                return
            self._optimizer, known = ref(optimizer), optimizer
        if known is optimizer:
            self.stepped()
