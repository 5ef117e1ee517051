"""Least squares by QR: coefficients, what they vary by, and the leverage of each row.

    beta = argmin |y - X beta|^2,   H = X (X'X)^-1 X',   h_i = H_ii

The error of row i, predicted from all others, is e_i / (1 - h_i) (Allen 1974): no refitting is needed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular
from scipy.special import stdtr

from conescope._intervals import student_quantile
from conescope.results.prediction import Coefficient, Permutation

SAME = 1e-10  # of a column: what is left of it beside the others, below which it is one of their combinations
FIXED = 1e-9  # 1 - leverage below which the row alone determines a coefficient

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class LeastSquares(NamedTuple):
    """A fit: coefficients (p,), the inverse of X'X (p, p), a basis of X (n, p), and residuals (n,)."""

    coefficients: Vector
    inverse: Matrix
    basis: Matrix
    residuals: Vector

    @property
    def freedom(self) -> int:
        """Return the degrees of freedom of the residuals."""
        rows, columns = self.basis.shape
        return int(rows - columns)

    @property
    def deviation(self) -> float:
        """Return the standard deviation of a residual."""
        return float(np.sqrt(self.residuals @ self.residuals / self.freedom))


def least_squares(design: Matrix, target: Vector, names: Sequence[str]) -> LeastSquares:
    """Return the fit of a target (n,) by the columns of a design (n, p), which are called `names`.

    Raises:
        ValueError: for fewer than p + 1 rows, and for a column that the others determine, by name.
    """
    n, p = design.shape
    if n <= p:
        raise ValueError(
            f"a regression with {p} terms needs at least {p + 1} rows that have all columns, but there are "
            f"{n}: take fewer features, or more rows"
        )
    scale = np.linalg.norm(design, axis=0)
    basis, upper, order = qr(design / np.where(scale > 0, scale, 1.0), mode="economic", pivoting=True)
    weak = np.flatnonzero(np.abs(np.diag(upper)) < SAME)
    if len(weak):
        raise ValueError(
            f"features must not determine each other, but {names[order[weak[0]]]} is constant in the {n} "
            "rows used, or a combination of the other columns: leave it out"
        )
    inverse_upper = solve_triangular(upper, np.eye(p))
    unscaled = np.empty_like(inverse_upper)
    unscaled[order] = inverse_upper
    unscaled /= scale[:, None]
    coefficients = unscaled @ (basis.T @ target)
    return LeastSquares(coefficients, unscaled @ unscaled.T, basis, target - design @ coefficients)


def terms(fit: LeastSquares, names: Sequence[str]) -> tuple[Coefficient, ...]:
    """Return the coefficients with 95 % intervals of Student's t; p is 0 where the fit is exact."""
    errors = fit.deviation * np.sqrt(np.diag(fit.inverse))
    halves = student_quantile(fit.freedom) * errors
    found = zip(names, fit.coefficients.tolist(), errors.tolist(), halves.tolist(), strict=True)
    return tuple(
        Coefficient(
            name=name,
            value=value,
            low=value - half,
            high=value + half,
            p=float(2 * stdtr(fit.freedom, -abs(value) / error)) if error > 0 else 0.0,
        )
        for name, value, error, half in found
    )


def explained(fit: LeastSquares, target: Vector) -> float:
    """Return R^2, the share of the target's variance that the fit explains; the design has a constant."""
    return float(1 - fit.residuals @ fit.residuals / _spread(target))


def left_out_errors(fit: LeastSquares) -> Vector:
    """Return target minus prediction from all other rows, (n,); NaN where those have no solution."""
    rest = 1 - (fit.basis**2).sum(axis=1)
    return np.where(rest > FIXED, fit.residuals / np.where(rest > FIXED, rest, 1.0), np.nan)


def permutation(
    fit: LeastSquares, target: Vector, groups: NDArray[np.int64], *, draws: int, seed: int
) -> Permutation:
    """Return R^2 of the same design with the target shuffled, within groups (n,) of equal number.

    p counts the fit itself as one of the draws (Phipson and Smyth 2010), so it is never 0.
    """
    orders = np.tile(np.arange(len(target)), (draws, 1))
    generator = np.random.default_rng(seed)
    for group in np.unique(groups):
        mine = np.flatnonzero(groups == group)
        orders[:, mine] = generator.permuted(orders[:, mine], axis=1)
    centered = target - target.mean()
    found = ((centered[orders] @ fit.basis) ** 2).sum(axis=1) / _spread(target)
    reached = int((found >= explained(fit, target) - 1e-12).sum())  # rounding must not beat a tie
    high = float(np.quantile(found, 0.95))
    return Permutation(
        draws=draws, seed=seed, mean=float(found.mean()), high=high, p=(1 + reached) / (1 + draws)
    )


def _spread(target: Vector) -> float:
    centered = target - target.mean()
    return float(centered @ centered)
