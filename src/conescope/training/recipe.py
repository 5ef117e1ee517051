"""How a model is fine-tuned, and on what: everything but the data, the seed and the regularizer."""

import math
from dataclasses import dataclass

from conescope._devices import chosen_device, chosen_precision
from conescope.capture import Pooling, layers_needed


@dataclass(frozen=True)
class Recipe:
    """The settings of a training run; unusable ones are refused when it is made."""

    model: str
    epochs: float = 3.0
    lr: float = 1e-4
    batch_size: int = 64
    accumulation: int = 1
    max_length: int = 128
    weight_decay: float = 0.01
    warmup: float = 0.06  # share of the steps; then the rate falls linearly to zero
    pooling: Pooling = "cls"
    layer: int = -1
    gather: bool = False
    precision: str = "auto"
    device: str = "auto"
    save_steps: int = 200

    def __post_init__(self) -> None:
        for name in ("epochs", "lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("batch_size", "accumulation", "max_length", "save_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        layers_needed(self.pooling, self.layer)
        chosen_precision(self.precision, chosen_device(self.device))
