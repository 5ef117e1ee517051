"""What the wrappers share: the loss inside, what it observed, and which wrapper may stand in which.

A loss is any callable `loss(points, labels)` that returns a 0-dim tensor: a module of this package, another
wrapper, or a function of yours.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from conescope._types import Scalar

Loss: TypeAlias = Callable[[Any, Any], Any]


class Wrapper(nn.Module):
    """A module around one loss; `observed` is what the loss inside observed, and what the wrapper adds."""

    observe_every: int = 0  # every how many steps `observe` wants to be called; 0 for never
    layers: tuple[int, ...] | None = None  # the hidden layers it needs; None if it takes one point cloud

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        if not callable(loss):
            raise TypeError(f"a loss is called with points and labels, got {type(loss).__name__}")
        self.loss = loss
        self.observed: dict[str, Tensor] = {}

    def inner(self, points: Any, labels: Tensor | None) -> Scalar:
        """Return the loss inside, computed outside of any autocast."""
        first = next(iter(points.values())) if isinstance(points, Mapping) else points
        with torch.autocast(first.device.type, enabled=False):
            return checked(self.loss(points, labels))


def checked(value: object) -> Scalar:
    """Return the value of a loss, or say that it is none."""
    if not isinstance(value, Tensor) or value.ndim:
        found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(
            f"a loss returns a 0-dim tensor, got {found}; a function that returns several terms has a "
            "module, such as PersistentEntropyLoss, that returns the loss alone"
        )
    return value


def check_single_cloud(loss: Loss, name: str) -> None:
    """Raise unless the loss takes one point cloud and has no weight that follows gradients."""
    if layers_of(loss) is not None:
        raise ValueError(
            f"{name} takes points of one layer; put it inside, as in Layers({{-1: {name}(...)}})"
        )
    if observe_every(loss):
        raise ValueError(
            f"Balanced needs the gradient of the task, so it must be outside: Balanced({name}(...))"
        )


def layers_of(loss: Loss) -> tuple[int, ...] | None:
    """Return the hidden layers that a loss asks for, or None if it takes one point cloud."""
    found = getattr(loss, "layers", None)
    return found if isinstance(found, tuple) else None


def observe_every(loss: Loss) -> int:
    """Return every how many steps the loss wants to be told the norms of gradients; 0 for never."""
    found = getattr(loss, "observe_every", 0)
    return found if isinstance(found, int) else 0


def observed_by(loss: Loss) -> dict[str, Tensor]:
    """Return what a loss observed at its last call."""
    return dict(getattr(loss, "observed", {}))


def merged(observations: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return one observation from several: whole numbers are counts and added, others are averaged."""
    lists: dict[str, list[Tensor]] = {}
    for observation in observations:
        for name, value in observation.items():
            lists.setdefault(name, []).append(value)
    return {
        name: torch.stack(values).mean(0) if values[0].is_floating_point() else torch.stack(values).sum(0)
        for name, values in lists.items()
    }


def count(number: int, like: Tensor) -> Tensor:
    """Return a count as a 0-dim tensor on the device of another, without waiting for the device."""
    return torch.full((), number, dtype=torch.int64, device=like.device)
