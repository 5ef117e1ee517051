"""Variance and covariance terms: no coordinate without spread, no two that say the same.

With the covariance C of the n points over n - 1, in d dimensions,

    variance    mean over j of max(0, target - sqrt(C_jj + 1e-4))
    covariance  sum over i != j of C_ij^2 / d
    loss        25 variance + covariance

Both are 0 where every coordinate has at least the standard deviation `target` and no two are correlated.
The variance term lies between 0 and target - 0.01; the covariance term is 0 at a collapse and has no bound.
Unchanged by translation, so it can not move the common mean; scaling and rotation change it.

These are two of the three terms of VICReg (Bardes, Ponce and LeCun, 2022, arXiv:2105.04906), the third
being 25 times the mean squared difference of two views. VICReg adds the covariance terms of both views
but halves their variance terms: to have its loss, call this on each view with variance_weight 12.5.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Clouds, Labels, Points, Scalar
from conescope.losses.at_once import AtOnce
from conescope.losses.off_diagonal import off_diagonal_squares
from conescope.losses.prepared import centered_rows, full_precision, spoiled_by_nan, zero_loss
from conescope.losses.weights import check_weight

VARIANCE_WEIGHT = 25.0  # published
COVARIANCE_WEIGHT = 1.0  # published
TARGET = 1.0  # published
EPS = 1e-4  # published: added to a variance before the root


def variance_covariance_loss(
    points: Points,
    labels: Labels | None = None,
    *,
    variance_weight: float = VARIANCE_WEIGHT,
    covariance_weight: float = COVARIANCE_WEIGHT,
    target: float = TARGET,
) -> Scalar:
    """Return the weighted sum of both terms, at least 0 for weights that are not negative.

    Where all points are equal the loss is variance_weight (target - 0.01) and its gradient 0, as no direction
    leads apart; as soon as they differ at all, the gradient pushes them off their mean, by up to
    100 variance_weight / ((n - 1) d) of the distance.

    With more dimensions than points no (d, d) matrix is formed. Fewer than two points give loss 0 with
    gradient 0. A point that is not finite makes the loss NaN. Computed in float32 under any autocast
    (float64 for float64 points).

    Args:
        points: one embedding a row.
        labels: without meaning here; `PerClass` gives them one.
        variance_weight: of the variance term.
        covariance_weight: of the covariance term.
        target: the standard deviation asked of each coordinate; not negative. Unit vectors can not reach the
            published 1, their fair share is 1 / sqrt(d).

    Raises:
        TypeError: if the points are not floating point.
        ValueError: if they are not of shape (n, d), or a setting is out of its range.

    >>> variance_covariance_loss(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))  # C = [[2, 2], [2, 2]]
    tensor(4.)
    """
    _check_settings(variance_weight, covariance_weight, target)
    with full_precision(points) as wide:
        return _loss(wide, variance_weight, covariance_weight, target)


class VarianceCovarianceLoss(AtOnce):
    """`variance_covariance_loss` as a module, scaled by `weight`."""

    def __init__(
        self,
        weight: float = 1.0,
        variance_weight: float = VARIANCE_WEIGHT,
        covariance_weight: float = COVARIANCE_WEIGHT,
        target: float = TARGET,
    ) -> None:
        super().__init__()
        _check_settings(variance_weight, covariance_weight, target)
        self.weight = check_weight(weight)
        self.variance_weight = variance_weight
        self.covariance_weight = covariance_weight
        self.target = target

    def forward(self, points: Points, labels: Labels | None = None) -> Scalar:
        return self.weight * variance_covariance_loss(
            points,
            labels,
            variance_weight=self.variance_weight,
            covariance_weight=self.covariance_weight,
            target=self.target,
        )

    def of_each(self, clouds: Float[Tensor, "clouds n d"]) -> Float[Tensor, " clouds"]:
        """Return the loss of each cloud."""
        return self.weight * _loss(clouds, self.variance_weight, self.covariance_weight, self.target)

    def extra_repr(self) -> str:
        weights = f"variance_weight={self.variance_weight}, covariance_weight={self.covariance_weight}"
        return f"weight={self.weight}, {weights}, target={self.target}"


def _loss(
    rows: Clouds, variance_weight: float, covariance_weight: float, target: float
) -> Float[Tensor, "*batch"]:
    n, d = rows.shape[-2:]
    if n < 2:
        return zero_loss(rows)
    squares, variances = off_diagonal_squares(centered_rows(rows).div_(math.sqrt(n - 1)))
    loss = variance_weight * _hinge(variances, target) + covariance_weight * squares / d
    return spoiled_by_nan(loss, rows)


def _check_settings(variance_weight: float, covariance_weight: float, target: float) -> None:
    check_weight(variance_weight, "variance_weight")
    check_weight(covariance_weight, "covariance_weight")
    if not 0 <= target < math.inf:
        raise ValueError(f"target is a standard deviation, finite and not negative, got {target}")


def _hinge(variances: Float[Tensor, "*batch d"], target: float) -> Float[Tensor, "*batch"]:
    return torch.relu(target - torch.sqrt(variances + EPS)).mean(dim=-1)
