"""What the points of a profile are: the settings on which its states depend, and their key."""

import hashlib
from dataclasses import astuple, dataclass
from typing import Literal, TypeAlias, get_args

from torch import nn

from conescope.capture import Prepared, Spots

PointsOf: TypeAlias = Literal["mean", "tokens", "cls", "first", "last"]
POINTS: tuple[str, ...] = get_args(PointsOf)
WEIGHED = 64  # numbers of each parameter by which a model is known again


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
        settings = (prepared.fingerprint, astuple(self), found.layers)
        digest = hashlib.blake2b(repr(settings).encode(), digest_size=16)
        for name, weights in model.named_parameters():
            some = weights.detach().flatten()[:WEIGHED].double().cpu()
            digest.update(f"{name} {tuple(weights.shape)} {weights.dtype}".encode() + some.numpy().tobytes())
        return digest.hexdigest()
