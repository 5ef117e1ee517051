"""A regression of values or of ranks, with a constant for each group, that can predict rows it has not seen.

    y = a + sum_f b_f x_f + c_group,   c of the first group = 0

The rank form replaces every column by its ranks (ties share the mean); a new value has the rank that counts
the known values below it, and a predicted rank becomes a value by interpolating the known targets.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conescope._intervals import student_quantile
from conescope.predict.least_squares import LeastSquares, Matrix, Vector, least_squares
from conescope.results.prediction import Kind

UNKNOWN = -1  # the number of a group that the model has not seen

Groups = NDArray[np.int64]


class Rows(NamedTuple):
    """Features (n, k), numbers of groups (n,), all 0 without them, and the target (n,)."""

    features: Matrix
    groups: Groups
    target: Vector

    def only(self, kept: NDArray[np.int64] | NDArray[np.bool_]) -> "Rows":
        """Return some of the rows."""
        return Rows(self.features[kept], self.groups[kept], self.target[kept])


class Model(NamedTuple):
    """What is needed to predict: the coefficients and their variation, and the known values, sorted."""

    kind: Kind
    coefficients: Vector
    inverse: Matrix
    deviation: float
    freedom: int
    group_count: int
    known_features: Matrix  # (k, n)
    known_target: Vector


class Guess(NamedTuple):
    """Predicted targets (n,), and the ends of their 95 % prediction intervals; NaN where there are none."""

    value: Vector
    low: Vector
    high: Vector


def design(features: Matrix, groups: Groups, count: int) -> Matrix:
    """Return the columns (n, k + count): constant, features, and a dummy for each group but the first.

    A group that is UNKNOWN gets 1 / count in each dummy: the mean of the constants of all groups.
    """
    dummies = (groups[:, None] == np.arange(1, count)).astype(float)
    dummies[groups == UNKNOWN] = 1 / count
    return np.column_stack([np.ones(len(features)), features, dummies])


def term_names(features: Sequence[str], group: str | None, groups: Sequence[str]) -> list[str]:
    """Return the names of the columns of the design."""
    return ["constant", *features, *(f"{group}={name}" for name in groups[1:])]


def fit_model(kind: Kind, rows: Rows, names: Sequence[str]) -> tuple[Model, LeastSquares, Vector]:
    """Return the model, its fit, and the target that was fitted, in ranks for a model of ranks.

    Groups are numbered 0, 1, ... without gaps; `names` are those of the terms.

    Raises:
        ValueError: as `least_squares`; for a target that is constant.
    """
    if len(rows.target) and np.ptp(rows.target) == 0:
        raise ValueError(
            f"the target must vary, but it is {rows.target[0]:g} in all rows: nothing to predict"
        )
    known, target = np.sort(rows.features, axis=0).T, np.sort(rows.target)
    count = int(rows.groups.max(initial=0)) + 1
    seen = in_kind(kind, rows.features, known)
    aim = rows.target if kind == "linear" else rank_among(target, rows.target)
    fit = least_squares(design(seen, rows.groups, count), aim, names)
    model = Model(kind, fit.coefficients, fit.inverse, fit.deviation, fit.freedom, count, known, target)
    return model, fit, aim


def guess(model: Model, features: Matrix, groups: Groups) -> Guess:
    """Return what a model predicts for features (n, k) and numbers of groups (n,), UNKNOWN among them.

    The interval is that of one new row, value -/+ t s sqrt(1 + x (X'X)^-1 x'). For an unknown group the
    variance of the known constants, times 1 + 1 / groups, is added and t has groups - 1 degrees of freedom:
    its constant counts as one more draw. With a single known group that variance has no estimate: NaN.
    """
    columns = design(in_kind(model.kind, features, model.known_features), groups, model.group_count)
    center = columns @ model.coefficients
    variance = model.deviation**2 * (1 + ((columns @ model.inverse) * columns).sum(axis=1))
    half = student_quantile(model.freedom) * np.sqrt(variance)
    strange = groups == UNKNOWN
    if strange.any():
        count = model.group_count
        if count > 1:
            constants = np.append(model.coefficients[len(model.coefficients) - count + 1 :], 0.0)
            wider = variance + constants.var(ddof=1) * (1 + 1 / count)
            half = np.where(strange, student_quantile(count - 1) * np.sqrt(wider), half)
        else:
            half = np.where(strange, np.nan, half)
    ends = [center, center - half, center + half]
    if model.kind == "rank":
        ranks, firsts = np.unique(rank_among(model.known_target, model.known_target), return_index=True)
        ends = [np.interp(end, ranks, model.known_target[firsts]) for end in ends]  # NaN stays NaN
    return Guess(*ends)


def in_kind(kind: Kind, features: Matrix, known: Matrix) -> Matrix:
    """Return features (n, k) as they are, or their ranks among the known ones (k, m)."""
    if kind == "linear":
        return features
    return np.column_stack([rank_among(k, f) for k, f in zip(known, features.T, strict=True)])


def rank_among(known: Vector, values: Vector) -> Vector:
    """Return the ranks of values among sorted ones, from 1; ties share the mean, new values lie between.

    >>> rank_among(np.array([1.0, 5.0, 5.0, 9.0]), np.array([1.0, 5.0, 7.0, 0.0]))
    array([1. , 2.5, 3.5, 0.5])
    """
    return (np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right") + 1) / 2
