"""A fitted model on a table that it has not seen: predictions, their intervals, and the error where known."""

import math
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from conescope.predict.columns import Columns, complete, read_columns
from conescope.predict.held_out import summary
from conescope.predict.model import UNKNOWN, Groups, Guess, Model, guess
from conescope.results.prediction import Kind, Predicted, PredictedRow, Prediction

Unknown = Literal["refuse", "mean"]


def apply(
    model: Prediction,
    table: Columns | str | Path,
    *,
    kind: Kind = "linear",
    truth: str | None = None,
    unknown_groups: Unknown = "refuse",
) -> Predicted:
    """Return what a model predicts for the rows of a table, with 95 % prediction intervals.

    Args:
        model: as `predict` returns it, or read back from its JSON.
        table: a CSV file with the features by the same names, and the groups if the model has any.
        kind: the regression of values, or of ranks. That of ranks predicts nothing beyond the targets it was
            fitted to.
        truth: column of the known targets, which may have gaps; the target's own name where there is one.
        unknown_groups: "refuse" raises for groups that the model has not seen, or a missing column of groups;
            "mean" takes the mean of the constants of all groups, and an interval that counts their spread.

    Raises:
        ValueError: for columns that are missing or hold no numbers, a table without a complete row, and
            unknown groups that are refused.
    """
    columns = table if isinstance(table, Columns) else read_columns(table)
    texts = [model.group] if model.group in columns.cells and unknown_groups == "refuse" else []
    kept, left_out = complete(columns, model.features, [name for name in texts if name is not None])
    if not len(kept):
        raise ValueError(
            f"{columns.source} must have a row with all of {', '.join(model.features)}: none has"
        )
    names, groups = _groups(model, columns, kept, unknown_groups)
    features = np.column_stack([columns.numbers(name)[kept] for name in model.features])
    found = guess(_model(model, kind), features, groups)
    if truth is None and model.target in columns.cells:
        truth = model.target
    known = np.full(len(kept), np.nan) if truth is None else columns.numbers(truth)[kept]
    rows = tuple(
        PredictedRow(
            name=columns.names[row],
            group=names[place],
            predicted=float(found.value[place]),
            low=_known(found.low[place]),
            high=_known(found.high[place]),
            known=_known(known[place]),
            outside=_outside(model, features[place]),
        )
        for place, row in enumerate(kept)
    )
    scored = np.isfinite(known)
    return Predicted(
        target=truth or model.target,
        kind=kind,
        rows=rows,
        left_out=left_out,
        errors=summary(*_errors(model, known[scored], found.value[scored])) if scored.any() else None,
        covered=_covered(known[scored], found, scored),
        r=_correlation(known[scored], found.value[scored]),
        notes=_notes(model, rows, int((groups == UNKNOWN).sum())),
    )


def _model(found: Prediction, kind: Kind) -> Model:
    """Return a stored model as arrays."""
    fit = found.regression(kind)
    return Model(
        kind,
        np.array([term.value for term in fit.coefficients]),
        np.array(fit.covariance),
        fit.deviation,
        fit.freedom,
        max(len(found.groups), 1),
        np.array([found.feature_values[name] for name in found.features]),
        np.array(found.target_values),
    )


def _groups(
    model: Prediction, columns: Columns, kept: NDArray[np.int64], unknown: Unknown
) -> tuple[list[str | None], Groups]:
    """Return the name of the group of each row, None where it has none, and its number in the model."""
    if model.group is None:
        return [None] * len(kept), np.zeros(len(kept), dtype=np.int64)
    there = model.group in columns.cells
    names = [columns.cells[model.group][row] or None if there else None for row in kept]
    place = {name: number for number, name in enumerate(model.groups)}
    numbers = [UNKNOWN if name is None else place.get(name, UNKNOWN) for name in names]
    if UNKNOWN in numbers and unknown == "refuse":
        what = (
            f"but there is {names[numbers.index(UNKNOWN)]!r}" if there else f"but there is no {model.group!r}"
        )
        raise ValueError(
            f"{columns.source} must name a group that the model has seen in each row, of "
            f"{', '.join(model.groups)}, {what}: give it one, leave the row out, or allow unknown groups "
            "to take the mean of all"
        )
    return names, np.array(numbers, dtype=np.int64)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _outside(model: Prediction, features: NDArray[np.float64]) -> tuple[str, ...]:
    """Return the features that are less or more than any the model was fitted to."""
    ends = ((model.feature_values[name][0], model.feature_values[name][-1]) for name in model.features)
    return tuple(
        name
        for name, value, (low, high) in zip(model.features, features, ends, strict=True)
        if not low <= value <= high
    )


def _errors(
    model: Prediction, known: NDArray[np.float64], value: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the errors of the model, and those of the mean of the targets it was fitted to."""
    return known - value, known - np.mean(model.target_values)


def _covered(known: NDArray[np.float64], found: Guess, scored: NDArray[np.bool_]) -> int | None:
    low, high = found.low[scored], found.high[scored]
    if not len(known) or not np.isfinite(low).all():
        return None
    return int(((low <= known) & (known <= high)).sum())


def _correlation(known: NDArray[np.float64], value: NDArray[np.float64]) -> float | None:
    if len(known) < 3 or np.ptp(known) == 0 or np.ptp(value) == 0:
        return None
    return float(np.corrcoef(known, value)[0, 1])


def _notes(model: Prediction, rows: tuple[PredictedRow, ...], unknown: int) -> tuple[str, ...]:
    notes = []
    outside = sum(bool(row.outside) for row in rows)
    if outside:
        notes.append(
            f"{outside} of {len(rows)} rows lie outside of the features the model was fitted to: their "
            "predictions extrapolate, and no interval counts that"
        )
    if unknown:
        notes.append(
            f"{unknown} of {len(rows)} rows are of no group that the model has seen: they take the mean "
            f"constant of {', '.join(model.groups)}"
        )
    if model.dose is not None and model.dose.explains_all:
        notes.append(f"where it was fitted, {model.dose.control} may explain it all")
    return tuple(notes)
