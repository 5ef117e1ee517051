"""A state -> its measurement: values, intervals, what a Gaussian gives, notes, and the verdict."""

import math
from collections.abc import Callable, Sequence

import torch

from conescope._types import Points
from conescope.measures import MEASURES, Measure
from conescope.results import MeasuredValue, Measurement
from conescope.scale.state import State
from conescope.survey.notes import notes_of
from conescope.survey.null import gaussian_values
from conescope.survey.rows import order_of
from conescope.survey.statistics import Statistics
from conescope.survey.uncertainty import Units
from conescope.survey.uncertainty import intervals as jackknife_intervals
from conescope.survey.verdict import RESTS_ON, Seen, findings

Stage = Callable[[str], None]  # told what is computed next


@torch.no_grad()
def measurement(
    state: State,
    rows: Sequence[Measure],
    *,
    partners: tuple[Points, Points] | None = None,
    seed: int = 0,
    intervals: bool = True,
    null: bool = True,
    units: Units | None = None,
    stage: Stage | None = None,
) -> Measurement:
    """Return the measures of the points of a state.

    `units`, in the order of the sample, are what the points come from, such as the tokens of one text, where
    those of one unit are not independent: intervals are then over units.
    """
    tell = stage or (lambda what: None)
    if state.moments.scatter is None and order_of(rows) > 1:
        raise ValueError(
            "the state holds moments of order 1, which have no spectrum: scan again for these measures"
        )
    drawn = state.sample
    place = torch.argsort(drawn.rows, stable=True)  # as in the file, so that ties fall the same way
    points = drawn.points[place.to(drawn.points.device)].double()
    labels = None if drawn.labels is None else drawn.labels[place.to(drawn.labels.device)]
    count = None if state.classes is None else len(state.classes)
    pairs = None if partners is None else (partners[0].double(), partners[1].double())
    found = Statistics(points, labels, classes=count, whole=state.moments, partners=pairs)
    ends, expected = {}, {}
    values = {}
    for row in rows:
        tell(row.name)
        values[row.name] = found.value(row)
    if intervals:
        tell("intervals")
        known = None if units is None else Units(units.numbers[place.to(units.numbers.device)], units.total)
        ends = jackknife_intervals(found, rows, state.n, seed=seed, units=known)
    if null:
        tell("a Gaussian cloud")
        expected = gaussian_values(found, rows, seed)
    part = f"on {len(points)} of {state.n} points, seed {drawn.seed}" if len(points) < state.n else ""
    return Measurement(
        n=state.n,
        d=state.d,
        sampled=len(points) if part else None,
        values=tuple(
            _measured(row, values[row.name], state, part if row.sampled else "", ends, expected)
            for row in rows
        ),
        notes=tuple(notes_of(state, found, rows)),
        findings=findings(_seen(state, found, values)),
    )


def _measured(
    row: Measure,
    value: float,
    state: State,
    part: str,
    ends: dict[str, tuple[float, float]],
    expected: dict[str, float],
) -> MeasuredValue:
    defined = math.isfinite(value)
    low, high = ends.get(row.name, (None, None)) if defined else (None, None)
    size = len(state.sample) if row.sampled else state.n
    healthy, formula = row.healthy(size, state.d), row.isotropic(size, state.d)
    return MeasuredValue(
        name=row.name,
        value=value + 0.0 if defined else None,  # + 0.0 turns -0.0 into 0.0
        note=part if defined else row.undefined,
        low=low,
        high=high,
        isotropic=expected.get(row.name) if formula is None else formula,
        healthy=None if healthy is None else (_end(healthy[0]), _end(healthy[1])),
    )


def _seen(state: State, found: Statistics, values: dict[str, float]) -> Seen:
    known = dict(values)
    for name in RESTS_ON:
        row = MEASURES[name]
        cheap = not row.sampled and (row.order == 1 or state.moments.scatter is not None)
        if name not in known and cheap:
            known[name] = found.value(row)
    at_hand = max(len(found.points), 1)
    return Seen(
        n=state.n,
        d=state.d,
        values={name: value for name, value in known.items() if math.isfinite(value)},
        at_hand=len(found.points),
        coincident=found.copies == state.n - 1
        if state.moments.scatter is None
        else bool(state.moments.scatter.trace() == 0),
        zeros=state.n - state.moments.directions,
        repeated=found.copies / at_hand,
        nearly=(found.near_copies or 0) / at_hand,
    )


def _end(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None
