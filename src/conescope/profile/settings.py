"""What the points of a profile are: the settings on which its states depend, and their key."""

import hashlib
from dataclasses import astuple, dataclass
from importlib.metadata import version
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from conescope.capture import Prepared, Spots

PointsOf: TypeAlias = Literal["mean", "tokens", "cls", "first", "last"]
POINTS: tuple[str, ...] = get_args(PointsOf)
WEIGHED = 16  # numbers of each weight by which a model is known again, beside its sum and norm


@dataclass(frozen=True)
class Settings:
    """See `conescope.profile_layers`."""

    pooling: PointsOf = "mean"
    special_tokens: bool = False
    batch_size: int = 32
    sample: int = 2048
    seed: int = 0
    token_views: bool = False

    def __post_init__(self) -> None:
        if self.pooling not in POINTS:
            raise ValueError(f"pooling must be one of {', '.join(POINTS)}, got {self.pooling!r}")
        if self.batch_size < 1:
            raise ValueError(f"a batch has one input or more, got batch_size {self.batch_size}")
        if self.sample < 2:
            raise ValueError(f"sample is a number of points and at least 2, got {self.sample}")

    def key(self, model: nn.Module, prepared: Prepared, found: Spots) -> str:
        """Return a hash of all that the states depend on: a stopped run goes on only where it is the same."""
        settings = (version("conescope"), prepared.fingerprint, astuple(self), found.layers)
        digest = hashlib.blake2b(repr(settings).encode(), digest_size=16)
        for name, weights in [*model.named_parameters(), *model.named_buffers()]:
            digest.update(f"{name} {tuple(weights.shape)} {weights.dtype} {_weighed(weights)}".encode())
        return digest.hexdigest()


def _weighed(weights: Tensor) -> str:
    """Return what tells weights apart that differ anywhere, in digits that no order of a sum changes."""
    values = weights.detach()
    if not values.is_floating_point():
        return str(int(values.long().sum()))
    numbers = (values.sum(dtype=torch.float64), torch.linalg.vector_norm(values, dtype=torch.float64))
    first = values.flatten()[:WEIGHED].double().cpu().tolist()
    return " ".join(f"{float(number):.9e}" for number in (*numbers, *first))
