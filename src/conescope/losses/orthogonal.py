"""Orthogonality as a regularizer: pairs of points at right angles, on the average of squares.

With the cosines c_ij of the pairs i != j, their mean A and their second moment M = mean c_ij^2,

    loss = M,    with a hinge:  loss = max(0, M - 1/d),    plus mean_weight A^2.

Directions that are independent and even on the sphere of R^d have M = 1/d, where the hinge ends; few
orthogonal points reach 0. A cone has M near 1, and so have two opposite cones, which the mean cosine does not
see. It ignores lengths. At exact collapse the gradient is zero, as all are along the points; the least
difference of directions is enough to open.

The spread-out or global orthogonal regularization of Zhang, Yu, Kumar, Chang (2017, arXiv:1708.06320) is
`hinge=True, mean_weight=1.0`, as is `GlobalOrthogonalRegularizationLoss` of sentence-transformers at its
default weights. EmbeddingGemma (2025, arXiv:2509.20354) takes the second moment alone.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._closed_forms import mean_cosine_from_sum
from conescope._types import Clouds, Labels, Points, Scalar
from conescope.losses.at_once import AtOnce
from conescope.losses.directions import unit_vectors
from conescope.losses.gram import gram
from conescope.losses.prepared import full_precision, zero_loss
from conescope.losses.weights import check_weight


def orthogonal_loss(
    points: Points, labels: Labels | None = None, *, hinge: bool = False, mean_weight: float = 0.0
) -> Scalar:
    """Return the second moment of the cosines of all pairs, from max(0, (n - d) / (d (n - 1))) to 1.

    With a hinge it is 1/d less, but not below 0; `mean_weight` times the squared mean cosine is added. It is
    computed in float32 under any autocast (float64 for float64 points) and has that dtype. A zero vector has
    no direction: it is left out, with its pairs, and gets no gradient. With fewer than two directions the
    loss is 0 with gradient 0. A point that is not finite makes it NaN. The cost is n d min(n, d).

    Args:
        points: one embedding a row, of shape (n, d).
        labels: not used; wrap the loss in `PerClass` for the mean over classes.
        hinge: no gradient from the second moment once it is below 1/d, that of even directions.
        mean_weight: of the squared mean cosine, not negative.

    Raises:
        ValueError: if mean_weight is negative or not finite.

    >>> orthogonal_loss(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]))  # (1/2 + 1/2 + 0) / 3
    tensor(0.3333)
    """
    _check_mean_weight(mean_weight)
    with full_precision(points) as rows:
        return _loss(rows, hinge, mean_weight)


class OrthogonalLoss(AtOnce):
    """`orthogonal_loss` as a module, scaled by `weight`.

    >>> OrthogonalLoss(weight=2.0, hinge=True)(torch.tensor([[1.0, 0.0], [-3.0, 0.0]]))  # 2 (1 - 1/2)
    tensor(1.)
    """

    def __init__(self, weight: float = 1.0, hinge: bool = False, mean_weight: float = 0.0) -> None:
        super().__init__()
        _check_mean_weight(mean_weight)
        self.weight = check_weight(weight)
        self.hinge = hinge
        self.mean_weight = mean_weight

    def forward(self, points: Points, labels: Labels | None = None) -> Scalar:
        return self.weight * orthogonal_loss(points, labels, hinge=self.hinge, mean_weight=self.mean_weight)

    def of_each(self, clouds: Float[Tensor, "clouds n d"]) -> Float[Tensor, " clouds"]:
        """Return the loss of each cloud."""
        return self.weight * _loss(clouds, self.hinge, self.mean_weight)

    def extra_repr(self) -> str:
        return f"weight={self.weight}, hinge={self.hinge}, mean_weight={self.mean_weight}"


def _loss(rows: Clouds, hinge: bool, mean_weight: float) -> Float[Tensor, "*batch"]:
    n, d = rows.shape[-2:]
    if n < 2:
        return zero_loss(rows)
    units, has_direction = unit_vectors(rows)
    found = has_direction.sum(dim=-1)
    count = found.clamp(min=2)
    products = gram(units if n <= d else units.mT)  # of the same sum of squares
    loss = (products.square().sum(dim=(-2, -1)) - count) / (count * (count - 1))
    if hinge:
        loss = torch.relu(loss - 1 / d)
    if mean_weight:
        loss = loss + mean_weight * mean_cosine_from_sum(units.sum(dim=-2), count).square()
    return torch.where(found < 2, 0, loss)


def _check_mean_weight(mean_weight: float) -> None:
    if not 0 <= mean_weight < math.inf:
        raise ValueError(f"mean_weight must be finite and not negative, got {mean_weight}")
