"""How a model is fine-tuned, and on what: everything but the data, the seed and the regularizer."""

import math
from dataclasses import dataclass

import torch

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


def chosen_device(name: str) -> torch.device:
    """Return the device of that name; "auto" takes a CUDA device if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.device(name)
    except RuntimeError as problem:
        raise ValueError(f"device must be auto, cpu, cuda or cuda:0 and so on, got {name!r}") from problem


def chosen_precision(name: str, device: torch.device) -> str:
    """Return fp32, bf16 or fp16; "auto" takes bf16 where the processor multiplies it fast."""
    if name not in ("auto", "fp32", "bf16", "fp16"):
        raise ValueError(f"precision must be auto, fp32, bf16 or fp16, got {name!r}")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    # torch.backends has no public name for this yet
    fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16" if fast else "fp32"
