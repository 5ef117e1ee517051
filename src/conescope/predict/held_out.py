"""Errors on rows that a regression has not seen: each row in turn, or each group in turn."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from conescope.predict.least_squares import Vector, left_out_errors
from conescope.predict.model import UNKNOWN, Groups, Rows, fit_model, guess
from conescope.results.prediction import Errors, GroupErrors, Kind


def leave_one_out(kind: Kind, rows: Rows, names: Sequence[str]) -> Vector:
    """Return target minus prediction from all other rows, (n,), in units of the target.

    For values it is a closed form. A model of ranks is fitted anew for each row, because ranks change, too.
    NaN where the others have no solution, or none of them is of the group.
    """
    if kind == "linear":
        return left_out_errors(fit_model(kind, rows, names)[1])
    return np.concatenate(
        [_out(kind, rows, np.arange(len(rows.target)) == row, alone=True) for row in range(len(rows.target))]
    )


def leave_group_out(kind: Kind, rows: Rows, parts: NDArray[np.int64]) -> Vector:
    """Return target minus prediction from all rows of other parts (n,), in units of the target.

    A group that no other part has is predicted with the mean constant of the groups that are left. NaN where
    the other parts have no solution.
    """
    found = np.empty(len(rows.target))
    for part in np.unique(parts):
        found[parts == part] = _out(kind, rows, parts == part)
    return found


def _out(kind: Kind, rows: Rows, out: NDArray[np.bool_], *, alone: bool = False) -> Vector:
    """Return the errors on rows that are out; with `alone`, a group that goes with them has no solution."""
    used, kept = np.unique(rows.groups[~out], return_inverse=True)
    place: dict[int, int] = {int(group): number for number, group in enumerate(used)}
    groups: Groups = np.array([place.get(int(group), UNKNOWN) for group in rows.groups[out]], dtype=np.int64)
    nothing = np.full(int(out.sum()), np.nan)
    if alone and (groups == UNKNOWN).any():
        return nothing
    rest = Rows(rows.features[~out], kept.astype(np.int64), rows.target[~out])
    try:
        model = fit_model(kind, rest, [""] * (rows.features.shape[1] + max(len(used), 1)))[0]
    except ValueError:  # too few rows are left, or a feature that is constant in them
        return nothing
    return rows.target[out] - guess(model, rows.features[out], groups).value


def baseline(target: Vector, parts: NDArray[np.int64]) -> Vector:
    """Return target minus the mean of all rows of other parts (n,); NaN where there are none."""
    found = np.full(len(target), np.nan)
    for part in np.unique(parts):
        out = parts == part
        if not out.all():
            found[out] = target[out] - target[~out].mean()
    return found


def summary(errors: Vector, plain: Vector) -> Errors:
    """Return the sizes of errors (n,), and of those of the baseline on the same rows; NaN is counted."""
    kept = np.isfinite(errors)
    return Errors(
        rows=int(kept.sum()),
        undetermined=int((~kept).sum()),
        rmse=_root_mean_square(errors[kept]),
        mae=float(np.abs(errors[kept]).mean()) if kept.any() else None,
        baseline_rmse=_root_mean_square(plain[kept & np.isfinite(plain)]),
    )


def by_group(
    errors: Vector, plain: Vector, parts: NDArray[np.int64], names: Sequence[str]
) -> tuple[GroupErrors, ...]:
    """Return the sizes of errors on each part."""
    return tuple(
        GroupErrors(name=name, errors=summary(errors[parts == part], plain[parts == part]))
        for part, name in enumerate(names)
    )


def _root_mean_square(errors: Vector) -> float | None:
    return float(np.sqrt((errors**2).mean())) if len(errors) else None
