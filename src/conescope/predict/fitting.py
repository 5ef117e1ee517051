"""Both regressions of a table, with errors on rows held out, chance, and what a control leaves of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conescope.predict.associations import associations
from conescope.predict.columns import Columns, complete, read_columns
from conescope.predict.held_out import baseline, by_group, leave_group_out, leave_one_out, summary
from conescope.predict.least_squares import explained, permutation, terms
from conescope.predict.model import Rows, fit_model, term_names
from conescope.predict.notes import dose_of, notes
from conescope.results.prediction import Kind, Prediction, Regression


def predict(
    table: Columns | str | Path,
    *,
    target: str,
    features: Sequence[str],
    group: str | None = None,
    hold_out: str | None = None,
    control: str | None = None,
    draws: int = 999,
    seed: int = 0,
) -> Prediction:
    """Return how well features predict a target over the rows of a table, by values and by ranks.

    Args:
        table: a CSV file, or its columns.
        target: column of the score.
        features: columns to predict from.
        group: column of names; each group gets a constant of its own.
        hold_out: column of names; all rows of a name are held out together. That of the groups if left out.
        control: column of numbers, such as the strength of a perturbation, which features and target may both
            follow: partial correlations take it out. It is no feature.
        draws: permutations of the target, within groups, that show which R^2 chance gives.
        seed: of the permutations.

    Raises:
        ValueError: for columns that are not there, are named twice, or hold no numbers; for too few rows
            without gaps; for features that determine each other; for a constant target.
    """
    columns = table if isinstance(table, Columns) else read_columns(table)
    features = tuple(features)
    _check_roles(target, features, group, control)
    if draws < 1:
        raise ValueError(f"draws of the permutation must be at least 1, got {draws}")
    hold_out = hold_out or group
    texts = tuple(dict.fromkeys(name for name in (group, hold_out) if name is not None))
    numeric = [target, *features, *([control] if control else [])]
    kept, left_out = complete(columns, numeric, texts)
    values = {name: columns.numbers(name)[kept] for name in numeric}
    groups, numbers = _numbered(columns, group, kept)
    names = term_names(features, group, groups)
    rows = Rows(np.column_stack([values[name] for name in features]), numbers, values[target])
    linear, rank = (
        _regression(kind, rows, names, _numbered(columns, hold_out, kept), draws, seed)
        for kind in ("linear", "rank")
    )
    found = associations(
        rows.features,
        features,
        rows.target,
        control=None if control is None else (control, values[control]),
        groups=None if group is None else (group, numbers),
    )
    dose = None
    if control is not None:
        alone = rows._replace(features=values[control][:, None])
        errors = _better(*(_one_out(kind, alone, term_names([control], group, groups)) for kind in _KINDS))
        dose = dose_of(control, errors, _better(linear.leave_one_out.rmse, rank.leave_one_out.rmse), found)
    return Prediction(
        target=target,
        features=features,
        group=group,
        groups=groups,
        hold_out=hold_out,
        control=control,
        rows=len(kept),
        left_out=left_out,
        feature_values={name: tuple(np.sort(values[name]).tolist()) for name in features},
        target_values=tuple(np.sort(rows.target).tolist()),
        linear=linear,
        rank=rank,
        associations=found,
        dose=dose,
        notes=notes(linear, rank, dose, hold_out),
    )


_KINDS: tuple[Kind, Kind] = ("linear", "rank")


def _check_roles(target: str, features: tuple[str, ...], group: str | None, control: str | None) -> None:
    if not features:
        raise ValueError("there must be a feature to predict from, but none is named")
    roles = [target, *features, *(name for name in (group, control) if name is not None)]
    twice = next((name for name in roles if roles.count(name) > 1), None)
    if twice is not None:
        raise ValueError(
            f"a column has one part to play, but {twice!r} is named {roles.count(twice)} times among target, "
            "features, group and control: name it once"
        )


def _numbered(
    columns: Columns, name: str | None, kept: NDArray[np.int64]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the names in a column, sorted, and the number of each row's; no names and 0 without one."""
    if name is None:
        return (), np.zeros(len(kept), dtype=np.int64)
    found, numbers = np.unique([columns.column(name)[row] for row in kept], return_inverse=True)
    return tuple(map(str, found)), numbers.astype(np.int64).reshape(len(kept))


def _regression(
    kind: Kind,
    rows: Rows,
    names: Sequence[str],
    parts: tuple[tuple[str, ...], NDArray[np.int64]],
    draws: int,
    seed: int,
) -> Regression:
    model, fit, aim = fit_model(kind, rows, names)
    each = np.arange(len(rows.target))
    part_names, numbers = parts
    out = leave_group_out(kind, rows, numbers) if part_names else None
    plain = baseline(rows.target, numbers)
    r2 = explained(fit, aim)
    return Regression(
        kind=kind,
        coefficients=terms(fit, names),
        r2=r2,
        r=float(np.sqrt(max(r2, 0.0))),
        freedom=model.freedom,
        deviation=model.deviation,
        covariance=tuple(tuple(line) for line in model.inverse.tolist()),
        leave_one_out=summary(leave_one_out(kind, rows, names), baseline(rows.target, each)),
        leave_group_out=None if out is None else summary(out, plain),
        groups_out=() if out is None else by_group(out, plain, numbers, part_names),
        chance=permutation(fit, aim, rows.groups, draws=draws, seed=seed),
    )


def _one_out(kind: Kind, rows: Rows, names: Sequence[str]) -> float | None:
    errors = leave_one_out(kind, rows, names)
    return summary(errors, baseline(rows.target, np.arange(len(errors)))).rmse


def _better(*errors: float | None) -> float:
    """Return the least error that is known; that of values is, with more rows than terms."""
    return min(error for error in errors if error is not None)
