"""The runs of a study: one layer of a model that gets noise, measured, and put back."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypedDict

import torch
from torch import nn

from conescope.capture import Prepared, Spots
from conescope.capture.spots import chosen_layers, only
from conescope.measures import Measure
from conescope.perturb.keeping import kept, known
from conescope.perturb.noise import Noise, spread_of
from conescope.perturb.perturbed import perturbed
from conescope.perturb.weights import Parts
from conescope.profile.gathered import gathered
from conescope.profile.layers import measured_layers
from conescope.profile.running import Advance
from conescope.profile.settings import Settings
from conescope.results.perturbation import PerturbedRun


class Dose(TypedDict):
    """What gets noise, in numbers; see `conescope.results.Perturbation`."""

    tensors: int
    weights: int
    spread: float | None


class _Level(NamedTuple):
    percent: float
    seed: int


@dataclass(frozen=True)
class Bench:
    """A model in evaluation mode, its inputs, one layer to look at, and how its weights get noise."""

    model: nn.Module
    prepared: Prepared
    found: Spots
    settings: Settings
    rows: Sequence[Measure]
    device: torch.device
    parts: Parts
    layer_norm: bool
    noise: Noise
    folder: Path | None

    def runs(
        self,
        levels: Sequence[float],
        repeats: int,
        advance: Advance | None,
        stage: Callable[[str], None] | None,
    ) -> tuple[PerturbedRun, ...]:
        """Return a run for each level and repeat, level by level; those that the folder keeps are read."""
        wanted = list(_wanted(levels, repeats, self.settings.seed))
        inputs = len(self.prepared.sizes)
        base = self._key()
        done = []
        for number, level in enumerate(wanted):
            key = f"{base}-{level.percent!r}-{level.seed}"
            run = None if self.folder is None else known(self.folder, level.percent, level.seed, key)
            if run is None:
                if stage is not None:
                    stage(f"{level.percent:g} %, seed {level.seed}")
                run = self._run(level, key, _within(advance, number * inputs, len(wanted) * inputs))
                if self.folder is not None:
                    kept(self.folder, run)
            if advance is not None:
                advance((number + 1) * inputs, len(wanted) * inputs)
            done.append(run)
        return tuple(done)

    def _run(self, level: _Level, key: str, advance: Advance | None) -> PerturbedRun:
        how = perturbed(
            self.model,
            level.percent,
            level.seed,
            parts=self.parts,
            layer_norm=self.layer_norm,
            noise=self.noise,
        )
        try:
            with how:
                states = gathered(
                    self.model, self.prepared, self.found, self.settings, device=self.device, advance=advance
                )
        except ValueError as problem:
            raise ValueError(f"at {level.percent:g} percent of noise: {problem}") from problem
        inputs = len(self.prepared.sizes)
        (layer,) = measured_layers(states, self.rows, self.settings, inputs, intervals=False)
        return PerturbedRun(
            percent=level.percent,
            seed=level.seed,
            key=key,
            constant=layer.constant,
            measurement=layer.measurement,
        )

    def _key(self) -> str:
        """Return a hash of all that the runs depend on, but for percentage and seed of the noise."""
        how = (self.parts, self.layer_norm, self.noise, [row.name for row in self.rows])
        digest = hashlib.blake2b(repr(how).encode(), digest_size=4).hexdigest()
        return f"{self.settings.key(self.model, self.prepared, self.found)}-{digest}"


def one_layer(found: Spots, layer: int, stack: str | None) -> Spots:
    """Return the layer of this number in a stack, alone; -1 is the last, 0 what enters the first block.

    Raises:
        ValueError: naming the stacks or layers there are.
    """
    names = list(dict.fromkeys(spot.stack for spot in found.layers))
    if stack not in names if stack is not None else len(names) > 1:
        asked = "none is named" if stack is None else f"there is no {stack!r}"
        there = ", ".join(name or "one without a name" for name in names)
        raise ValueError(f"the layer is of one stack of blocks, and {asked}; name one (--stack) of: {there}")
    return chosen_layers(only(found, [spot for spot in found.layers if stack in (None, spot.stack)]), [layer])


@torch.no_grad()
def dose(weights: Mapping[str, nn.Parameter]) -> Dose:
    """Return how many weights get noise, and the median standard deviation of those that are matrices."""
    spreads = [float(spread_of(weight)) for weight in weights.values() if weight.ndim > 1]
    return {
        "tensors": len(weights),
        "weights": sum(weight.numel() for weight in weights.values()),
        "spread": median(spreads) if spreads else None,
    }


def _wanted(levels: Sequence[float], repeats: int, seed: int) -> Iterator[_Level]:
    for percent in levels:
        for repeat in range(repeats if percent else 1):
            yield _Level(percent, seed + repeat)


def _within(advance: Advance | None, before: int, total: int) -> Advance | None:
    return None if advance is None else lambda done, _: advance(before + done, total)
