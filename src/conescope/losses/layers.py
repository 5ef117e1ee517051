"""Losses of several hidden layers, added.

loss = sum over layers l of loss_l(points of layer l)
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from conescope._types import Scalar
from conescope.losses.wrapper import Loss, check_single_cloud, checked, layers_of, merged, observed_by


class Layers(nn.Module):
    """The sum of one loss a hidden layer.

    It is called with a mapping from layer to points, which may differ in dimension. `layers` says which
    layers it needs; `conescope.training.regularize` reads it and captures these.

    `observed` has `layer_L`, the value of the loss of layer L, and what the losses inside observed: whole
    numbers added over the layers, others averaged.

    Args:
        losses: from layer, numbered as in `hidden_states` (0 is the embeddings' output and -1 the last),
            to a loss of one point cloud. One module under two layers is one module: state, such as the
            memory of `Remembered`, would be mixed, so that this is refused.
    """

    def __init__(self, losses: Mapping[int, Loss]) -> None:
        super().__init__()
        if not losses:
            raise ValueError("Layers needs at least one layer with its loss, as in Layers({-1: loss})")
        modules = [loss for loss in losses.values() if isinstance(loss, nn.Module)]
        if len({id(module) for module in modules}) < len(modules):
            raise ValueError("each layer must have a module of its own, but two layers share one; make two")
        self.losses = dict(losses)
        for layer, loss in losses.items():
            if layers_of(loss) is not None:
                raise ValueError(
                    f"layer {layer} must have a loss of one point cloud, got one of several layers"
                )
            check_single_cloud(loss, "Layers")
            if isinstance(loss, nn.Module):
                self.add_module(f"layer_{layer}", loss)
        self.observed: dict[str, Tensor] = {}

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that it needs, in the order given."""
        return tuple(self.losses)

    def forward(self, points: Mapping[int, Tensor], labels: Tensor | None = None) -> Scalar:
        if not isinstance(points, Mapping) or not set(self.layers) <= set(points):
            found = sorted(points) if isinstance(points, Mapping) else type(points).__name__
            raise ValueError(
                f"Layers is called with a mapping from each of the layers {list(self.layers)} to its points, "
                f"got {found}"
            )
        values = {}
        for layer, loss in self.losses.items():
            with torch.autocast(points[layer].device.type, enabled=False):
                values[layer] = checked(loss(points[layer], labels))
        inside = merged(observed_by(loss) for loss in self.losses.values())
        self.observed = inside | {f"layer_{layer}": value.detach() for layer, value in values.items()}
        return torch.stack(list(values.values())).sum()

    def extra_repr(self) -> str:
        return f"layers={self.layers}"
