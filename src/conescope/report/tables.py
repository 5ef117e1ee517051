"""The tables of a report, and their numbers: each to read, and exactly, for who copies it."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from conescope.report.wording import BETTER, SIGNS, decimals, number, spoken
from conescope.results import Difference, FineTuning, Measurement, Run

GLYPH = (120, 52)  # width of the drawing of an interval, and its reach on either side of zero

Row: TypeAlias = dict[str, Any]


def data(value: float | None, places: int | None = None, *, signed: bool = False) -> Row:
    """Return a number twice: to read, and exactly, for the `value` of an HTML data element."""
    return {"exact": "" if value is None else repr(value), "text": number(value, places, signed=signed)}


def difference_row(difference: Difference) -> Row:
    """Return one line of a table of differences."""
    d = difference
    places = decimals(max(abs(d.plain), abs(d.regularized)), d.difference)
    return {
        "name": spoken(d.name),
        "better": BETTER[d.better],
        "plain": data(d.plain, places),
        "regularized": data(d.regularized, places),
        "difference": data(d.difference, places, signed=True),
        "low": data(d.low, places, signed=True),
        "high": data(d.high, places, signed=True),
        "known": d.low is not None and d.high is not None,
        "glyph": _glyph(d),
        "basis": d.basis,
        "verdict": d.verdict,
        "sign": SIGNS[d.verdict],
    }


def _glyph(difference: Difference) -> Row | None:
    """Return where to draw the difference and its interval about zero, or None if there is no number."""
    low, high = difference.low, difference.high
    known = [v for v in (difference.difference, low, high) if v is not None and math.isfinite(v)]
    reach = max(map(abs, known), default=0.0)
    if reach == 0 or not math.isfinite(difference.difference):
        return None
    width, half = GLYPH

    def at(value: float) -> float:
        return round(width / 2 + half * value / reach, 1)

    spanned = low is not None and high is not None and math.isfinite(low) and math.isfinite(high)
    interval = (at(low), at(high)) if spanned and low is not None and high is not None else None
    return {"dot": at(difference.difference), "interval": interval, "width": width, "zero": width / 2}


def run_table(result: FineTuning) -> Row:
    """Return one column a run and one row a quantity, and a column before training where runs share it."""
    runs = [(arm, run) for arm in result.arms for run in arm.runs]
    scores = dict.fromkeys(name for _, run in runs for name in run.scores)
    measures = dict.fromkeys(name for _, run in runs for name in run.after.measurement.names())
    before = _shared_before([run for _, run in runs])
    groups = [
        ("Score", [_run_row(spoken(n), [run.scores.get(n) for _, run in runs]) for n in scores]),
        (
            "Geometry of the held-out embeddings",
            [
                _run_row(
                    spoken(name),
                    [measured(run.after.measurement, name) for _, run in runs],
                    None if before is None else measured(before, name),
                )
                for name in measures
            ],
        ),
        (
            "Time",
            [
                _run_row("Seconds a step", [run.step_seconds for _, run in runs]),
                _run_row("Seconds of the regularizer", [run.regularizer_seconds for _, run in runs]),
                _run_row("Optimizer steps", [float(run.steps) for _, run in runs]),
            ],
        ),
    ]
    spans = [(arm.name, len(arm.runs)) for arm in result.arms if arm.runs]
    return {
        "spans": spans,
        "seeds": [run.seed for _, run in runs],
        "before": before is not None,
        "groups": [group for group in groups if group[1]],
    }


def _run_row(name: str, values: Sequence[float | None], before: float | None = None) -> Row:
    known = [abs(v) for v in (*values, before) if v is not None and math.isfinite(v)]
    places = 0 if all(v == int(v) and v > 1 for v in known) else decimals(max(known, default=0.0))
    return {"name": name, "before": data(before, places), "values": [data(v, places) for v in values]}


def _shared_before(runs: Sequence[Run]) -> Measurement | None:
    first = runs[0].before.measurement if runs else None
    return first if all(run.before.measurement == first for run in runs) else None


def measured(measurement: Measurement, name: str) -> float | None:
    """Return the value of a measure, or None where it is undefined or was not taken."""
    return next((each.value for each in measurement.values if each.name == name), None)
