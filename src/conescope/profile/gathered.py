"""One pass of a model over some inputs -> the state of each layer."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from conescope.capture import Prepared, Spots
from conescope.capture.batch import ordered
from conescope.profile.gathering import Gathering
from conescope.profile.pausing import resumed, save
from conescope.profile.running import Advance, run
from conescope.profile.settings import Settings
from conescope.profile.token_views import TokenViews
from conescope.scale.moments import Precision
from conescope.scale.scan import DOUBLE_WORK


class Gathered(NamedTuple):
    """The states of the layers, and what was seen of their tokens, if asked for."""

    layers: list[Gathering]
    views: TokenViews | None


@torch.no_grad()
def gathered(
    model: nn.Module,
    prepared: Prepared,
    found: Spots,
    settings: Settings,
    *,
    device: torch.device,
    folder: Path | None = None,
    key: str = "",
    advance: Advance | None = None,
) -> Gathered:
    """Return what all inputs give, on a model in evaluation mode; a folder keeps what a stopped run has."""
    count = sum(prepared.sizes) if settings.pooling == "tokens" else len(prepared.sizes)
    layers = [
        Gathering(spot, settings.sample, settings.seed, _precision(count, spot.d)) for spot in found.layers
    ]
    batches = ordered(prepared, settings.batch_size)
    views = None
    if settings.token_views:
        views = TokenViews(
            prepared,
            batches,
            found.layers,
            special_tokens=settings.special_tokens,
            seed=settings.seed,
            device=device,
        )
    run(
        model,
        prepared,
        batches,
        found,
        layers,
        pooling=settings.pooling,
        special_tokens=settings.special_tokens,
        device=device,
        done=0 if folder is None else resumed(folder, key, layers, views),
        advance=advance,
        look=None if views is None else views.see,
        pause=None if folder is None else lambda done: save(folder, key, done, layers, views),
    )
    return Gathered(layers, views)


def _precision(count: int, d: int) -> Precision:
    return "double" if count * d * d <= DOUBLE_WORK else "single"
