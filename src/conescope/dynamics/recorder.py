"""Recorder: measures of layers over the steps of any training loop."""

import math
from collections.abc import Callable, Mapping, Sequence

from conescope._types import Points, Scalar
from conescope.dynamics.collapse import collapses
from conescope.dynamics.noise_scale import NoiseScale, noise_scale
from conescope.results.dynamics import Event, Trajectory
from conescope.survey.measure import measure

RANK = "effective_rank"  # always recorded: collapses are read off it
DEFAULT = ("mean_cosine", "isoscore", RANK)
Named = Mapping[str, Callable[[Points], Scalar | float]]


class Recorder:
    """Records measures of the points that it is shown: `recorder.see(step, {layer: points})`.

    Args:
        measures: names of `conescope.measures.MEASURES`, or functions of points by name; the effective rank
            is added.
        layers: names to record; None takes all that are shown.
        every: steps that are no multiple of it are passed over, without looking at the points.
        sample: measures of pairs look at this many points at most.
        seed: of their choice.
        decay: of the weights of earlier steps in the noise scale.

    Raises:
        ValueError: if every < 1.
    """

    def __init__(
        self,
        measures: Sequence[str] | Named = DEFAULT,
        layers: Sequence[str] | None = None,
        every: int = 1,
        *,
        sample: int | None = 2048,
        seed: int = 0,
        decay: float = 0.9,
    ) -> None:
        if every < 1:
            raise ValueError(f"every is a number of steps, 1 or more, got {every}")
        self.measures = dict(measures) if isinstance(measures, Mapping) else tuple(measures)
        self.layers = None if layers is None else tuple(layers)
        self.every, self.sample, self.seed = every, sample, seed
        self.decay = decay
        self._seen: dict[int, dict[str, dict[str, float | None]]] = {}
        self._scalars: dict[str, dict[int, float | None]] = {}
        self._noise: NoiseScale | None = None

    def see(self, step: int, points: Mapping[str, Points]) -> None:
        """Measure the points of each layer at a step; a step that was seen before gets the layers added.

        Raises:
            ValueError: if a layer to record is missing, or points can not be measured.
        """
        if step % self.every:
            return
        wanted = tuple(points) if self.layers is None else self.layers
        missing = [layer for layer in wanted if layer not in points]
        if missing:
            raise ValueError(f"step {step} has no points of layer {missing[0]!r}; it has {', '.join(points)}")
        here = self._seen.setdefault(step, {})
        for layer in wanted:
            here[layer] = self._measured(points[layer])

    def note(self, step: int, **scalars: float) -> None:
        """Record numbers of the training at a step, such as the share of a regularizer in the gradient.

        Steps that `see` passes over are passed over here too; what is not finite is kept as None.
        """
        if step % self.every == 0:
            for name, value in scalars.items():
                self._scalars.setdefault(name, {})[step] = _number(float(value))

    def gradient(
        self, step: int, small_squares: Sequence[float], big_square: float, *, small: int, big: int
    ) -> None:
        """Record the `noise_scale` over recorded steps, and |G|^2 and tr Sigma of this one.

        A step whose gradient is not finite, as one that a gradient scaler skips, is left out of the means.

        Args:
            step: of the training.
            small_squares: squared norms of the gradients of micro-batches, or of halves of the batch.
            big_square: that of the whole batch.
            small: examples of a small batch.
            big: examples of the whole batch.

        Raises:
            ValueError: if not 0 < small < big, or without small batches.
        """
        if step % self.every:
            return
        found = noise_scale(small_squares, big_square, small, big)
        if math.isfinite(found.square) and math.isfinite(found.trace):
            self._noise = found if self._noise is None else self._noise.smoothed(found, self.decay)
        scale = math.nan if self._noise is None else self._noise.scale
        self.note(step, gradient_square=found.square, noise_trace=found.trace, noise_scale=scale)

    def trajectory(self) -> Trajectory:
        """Return what was recorded so far, steps in order, layers as they were first shown."""
        steps = sorted(self._seen)
        layers = tuple(dict.fromkeys(layer for step in steps for layer in self._seen[step]))
        names = dict.fromkeys(name for step in steps for found in self._seen[step].values() for name in found)
        tables = {
            name: tuple(
                tuple(self._seen[step].get(layer, {}).get(name) for step in steps) for layer in layers
            )
            for name in names
        }
        return Trajectory(
            layers=layers,
            steps=tuple(steps),
            tables=tables,
            events=tuple(event for layer in layers for event in self._events(layer)),
            scalars={name: dict(sorted(values.items())) for name, values in self._scalars.items()},
        )

    def _events(self, layer: str) -> list[Event]:
        steps = [step for step in sorted(self._seen) if layer in self._seen[step]]
        ranks = [self._seen[step][layer][RANK] for step in steps]
        return [Event(layer=layer, step=steps[place], kind=kind) for place, kind in collapses(ranks)]

    def _measured(self, points: Points) -> dict[str, float | None]:
        cloud = points.detach()
        named = (RANK,) if isinstance(self.measures, dict) else self.measures
        known = tuple(dict.fromkeys((*named, RANK)))
        table = measure(
            cloud, measures=known, sample=self.sample, seed=self.seed, intervals=False, null=False
        )
        found = {value.name: value.value for value in table.values}
        own = self.measures.items() if isinstance(self.measures, dict) else ()
        return {name: _number(float(function(cloud))) for name, function in own} | found


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
