"""The states of the layers -> their measurements, with intervals over inputs rather than tokens."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from conescope.capture import Spot
from conescope.measures import Measure
from conescope.results import Finding, MeasuredValue, Measurement
from conescope.results.profile import CONSTANT, Layer
from conescope.scale.state import State
from conescope.survey.measurement import measurement
from conescope.survey.uncertainty import Units

Told = Callable[[str], None]


def measured_layer(
    spot: Spot, state: State, rows: Sequence[Measure], *, inputs: int, tokens: bool, intervals: bool
) -> Layer:
    """Return the measures of a layer; with `tokens`, points of one input are not taken to be independent."""
    owners = state.sample.labels
    state = replace(state, sample=replace(state.sample, labels=None))
    constant = _constant(state)
    if constant:
        found = _of_constant(state, rows)
    else:
        units = Units(owners, inputs) if tokens and owners is not None else None
        found = measurement(state, rows, intervals=intervals, null=False, units=units)
    return Layer(
        stack=spot.stack,
        depth=spot.depth,
        module=spot.module,
        kind=spot.kind,
        constant=constant,
        measurement=found,
    )


def _constant(state: State) -> bool:
    """Return whether all points coincide, but for the rounding of the type in which the model computes."""
    scatter = state.moments.scatter
    if state.n < 2 or scatter is None:
        return False
    rounding = 8 * torch.finfo(state.sample.points.dtype).eps
    variance = float(scatter.trace()) / state.n
    return variance <= rounding**2 * float(state.moments.mean.square().sum())


def _of_constant(state: State, rows: Sequence[Measure]) -> Measurement:
    return Measurement(
        n=state.n,
        d=state.d,
        values=tuple(MeasuredValue(name=row.name, value=None, note=CONSTANT) for row in rows),
        findings=(
            Finding(
                level="unknown",
                title="Constant",
                evidence="all points coincide, so there is no shape to measure",
            ),
        ),
    )
