"""Correlations of features with a target, as they are and with a control and groups taken out.

    partial r(x, y | Z) = r(x - P x, y - P y),   P the projection on the columns of Z and a constant

Intervals are Fisher's: tanh(atanh r -/+ 1.96 s), s = 1 / sqrt(n - m - 3) with m columns in Z for Pearson's r,
and sqrt((1 + r^2 / 2) / (n - m - 3)) for Spearman's (Bonett and Wright 2000). They assume independent rows of
about normal distribution.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri, stdtr

from conescope._intervals import CONFIDENCE
from conescope.predict.least_squares import Matrix, Vector
from conescope.predict.model import Groups, design, rank_among
from conescope.results.prediction import Association, Kind

FIXED = 1e-9  # of a column's deviation: what is left of it given others, below which they fix it


def associations(
    features: Matrix,
    names: Sequence[str],
    target: Vector,
    *,
    control: tuple[str, Vector] | None = None,
    groups: tuple[str, Groups] | None = None,
) -> tuple[Association, ...]:
    """Return correlations of each feature (n, k) with the target (n,), of values and of ranks.

    With a control or groups also the partial ones: values given the control, ranks given its ranks, and
    values given both, because a control that acts along a curve is not taken out by a straight line.
    """
    n = len(target)
    none = np.empty((n, 0))
    dummies = none if groups is None else design(none, groups[1], int(groups[1].max()) + 1)[:, 1:]
    by = () if groups is None else (groups[0],)
    straight: list[tuple[Kind, tuple[str, ...], Matrix]] = [("linear", (), none), ("rank", (), none)]
    if groups is not None and control is None:
        straight += [("linear", by, dummies), ("rank", by, dummies)]
    if control is not None:
        name, value = control
        ranks = rank_among(np.sort(value), value)
        straight += [
            ("linear", (name, *by), np.column_stack([value, dummies])),
            ("rank", (f"rank of {name}", *by), np.column_stack([ranks, dummies])),
            ("linear", (name, f"rank of {name}", *by), np.column_stack([value, ranks, dummies])),
        ]
    return tuple(
        partial(feature, kind, given, column, target, held)
        for feature, column in zip(names, features.T, strict=True)
        for kind, given, held in straight
    )


def partial(
    feature: str, kind: Kind, given: tuple[str, ...], column: Vector, target: Vector, held: Matrix
) -> Association:
    """Return the correlation of a column (n,) and the target (n,), given the columns held (n, m).

    Ranks are taken of column and target, not of what is held. The value is None where those fix one of both,
    the interval where n - m < 4.
    """
    n = len(target)
    if kind == "rank":
        column, target = (rank_among(np.sort(one), one) for one in (column, target))
    left, right = (_rest(one, held) for one in (column, target))
    if left is None or right is None:
        return Association(feature=feature, kind=kind, given=given, value=None)
    r = float(np.clip(left @ right / math.sqrt((left @ left) * (right @ right)), -1, 1))
    freedom = n - held.shape[1] - 2
    if freedom < 2:
        return Association(feature=feature, kind=kind, given=given, value=r)
    if abs(r) == 1:
        return Association(feature=feature, kind=kind, given=given, value=r, low=r, high=r, p=0.0)
    error = math.sqrt((1 + r**2 / 2 if kind == "rank" else 1) / (freedom - 1))
    half = float(ndtri(0.5 + CONFIDENCE / 2)) * error
    return Association(
        feature=feature,
        kind=kind,
        given=given,
        value=r,
        low=math.tanh(math.atanh(r) - half),
        high=math.tanh(math.atanh(r) + half),
        p=float(2 * stdtr(freedom, -abs(r) * math.sqrt(freedom / (1 - r**2)))),
    )


def _rest(column: Vector, held: Matrix) -> Vector | None:
    """Return what is left of a column (n,) beside a constant and those held (n, m); None if nothing is."""
    columns = np.column_stack([np.ones(len(column)), held])
    lengths = np.linalg.norm(columns, axis=0)
    columns = columns / np.where(lengths > 0, lengths, 1.0)
    left: Vector = column - columns @ np.linalg.lstsq(columns, column, rcond=None)[0]
    whole = np.linalg.norm(column - column.mean())
    rounding = 1e-14 * np.linalg.norm(column)
    return None if np.linalg.norm(left) <= max(FIXED * whole, rounding) else left
