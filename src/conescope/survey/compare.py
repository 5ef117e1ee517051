"""`conescope.compare`: the same measures of several spaces, and what differs beyond noise."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from conescope.results import ComparedValue, Comparison, MeasuredValue, Measurement
from conescope.scale.moments import Precision
from conescope.scale.state import State
from conescope.survey.inputs import Cloud, Where
from conescope.survey.measure import measure


def compare(
    *spaces: Cloud | State | Where | Measurement,
    names: Sequence[str] | None = None,
    measures: str | Sequence[str] | None = None,
    column: str | None = None,
    labels: str | None = None,
    sample: int | None = 4096,
    seed: int = 0,
    precision: Precision | None = None,
) -> Comparison:
    """Return measurements of two or more spaces, and how the others differ from the first.

    Args:
        spaces: whatever `measure` takes, or measurements; paths that end in .json are read as measurements.
        names: of the spaces; by default those of the files, or "space 1", "space 2", ...
        measures: as for `measure`.
        column: of the points, in files.
        labels: name of a column of labels, in files.
        sample: as for `measure`; the same for all spaces, as neighborhoods depend on the number of points.
        seed: as for `measure`.
        precision: as for `measure`.

    Raises:
        ValueError: for fewer than two spaces, names that repeat or do not fit, and as `measure` does.

    >>> import torch
    >>> axes = torch.eye(3).repeat(20, 1)
    >>> found = compare(axes, axes + 1, measures=["mean_cosine"], names=["plain", "moved"])
    >>> found.difference("mean_cosine", "moved").outcome
    'higher'
    """
    if len(spaces) < 2:
        raise ValueError(f"a comparison needs two spaces or more, got {len(spaces)}")
    called = _names(spaces, names)
    found: dict[str, Measurement] = {}
    for name, space in zip(called, spaces, strict=True):
        if isinstance(space, Measurement):
            found[name] = space
        elif isinstance(space, str | os.PathLike) and Path(space).suffix == ".json":
            found[name] = Measurement.model_validate_json(Path(space).read_text(encoding="utf-8"))
        else:
            files = isinstance(space, str | os.PathLike)
            found[name] = measure(
                space,
                labels if files else None,
                measures,
                column=column if files else None,
                sample=sample,
                seed=seed,
                precision=precision,
            )
    return comparison(found)


def comparison(spaces: dict[str, Measurement]) -> Comparison:
    """Return the comparison of measurements that were made before."""
    (_, first), *others = spaces.items()
    differences = [
        _compared(name, space, first.measured(name), other.measured(name))
        for space, other in others
        for name in first.names()
        if name in other.names()
    ]
    return Comparison(spaces=spaces, differences=tuple(differences), notes=tuple(_notes(spaces)))


def _compared(name: str, space: str, first: MeasuredValue, other: MeasuredValue) -> ComparedValue:
    if first.value is None or other.value is None:
        return ComparedValue(measure=name, space=space, difference=None, outcome="not known")
    difference = other.value - first.value
    errors = [_half(first), _half(other)]
    if None in errors:
        return ComparedValue(measure=name, space=space, difference=difference, outcome="not known")
    half = math.hypot(*(error for error in errors if error is not None))
    outcome = "within noise" if abs(difference) <= half else "higher" if difference > 0 else "lower"
    return ComparedValue.model_validate(
        {
            "measure": name,
            "space": space,
            "difference": difference,
            "low": difference - half,
            "high": difference + half,
            "outcome": outcome,
        }
    )


def _half(measured: MeasuredValue) -> float | None:
    """Return the half width of an interval, the longer one where a bound of the measure cuts it."""
    if measured.value is None or measured.low is None or measured.high is None:
        return None
    return max(measured.value - measured.low, measured.high - measured.value)


def _notes(spaces: dict[str, Measurement]) -> list[str]:
    notes = []
    at_hand = {space.sampled or space.n for space in spaces.values()}
    if len(at_hand) > 1:
        notes.append(
            f"neighbors, bars and cells were looked at on {' and '.join(map(str, sorted(at_hand)))} points: "
            "values that go with the number of points can not be compared; give the smallest one as sample"
        )
    dimensions = {space.d for space in spaces.values()}
    if len(dimensions) > 1:
        notes.append(
            "the spaces differ in dimension: compare shares (isoscore, effective_rank over d), and read each "
            "value against its isotropic one"
        )
    few = [name for name, space in spaces.items() if space.n < space.d]
    if few:
        notes.append(f"fewer points than dimensions: {', '.join(few)}")
    return notes


def _names(spaces: Sequence[object], names: Sequence[str] | None) -> list[str]:
    if names is not None:
        if len(names) != len(spaces) or len(set(names)) != len(names):
            raise ValueError(
                f"names are different and one a space: {len(spaces)} spaces, got {', '.join(names)}"
            )
        return list(names)
    files = [Path(space) if isinstance(space, str | os.PathLike) else None for space in spaces]
    short = [file.name if file else f"space {number}" for number, file in enumerate(files, 1)]
    if len(set(short)) == len(short):
        return short
    full = [str(file) if file else name for file, name in zip(files, short, strict=True)]
    repeated = [name for number, name in enumerate(full) if name in full[:number]]
    if repeated:
        raise ValueError(f"each space may stand here once, but {repeated[0]} is given twice")
    return full
