"""Uniformity as a regularizer: spread the directions of the points over the sphere.

With u_i = x_i / |x_i| and the Gaussian potential of width set by t, over all pairs i < j,

    loss = ln mean exp(-t |u_i - u_j|^2).

0 means that all points look the same way; -2 t n / (n - 1), a simplex, is the least value of n points. Near
pairs weigh most: pair (i, j) repels with the weight exp(-t |u_i - u_j|^2) over the sum of these. So it opens
a cone and breaks up tight clumps; it ignores lengths. At exact collapse the gradient is zero, as all are
along the points; the least difference of directions is enough to open.

Wang and Isola (2020, arXiv:2005.10242) train with t = 2 and weight 1 beside the alignment, also of weight 1.
`conescope.measures.uniformity` is the measure.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Clouds, Labels, Points, Scalar
from conescope.losses.at_once import AtOnce
from conescope.losses.directions import unit_vectors
from conescope.losses.gram import gram
from conescope.losses.prepared import full_precision, zero_loss
from conescope.losses.weights import check_weight


def uniformity_loss(points: Points, labels: Labels | None = None, *, t: float = 2.0) -> Scalar:
    """Return the uniformity of the points, from -4 t to 0.

    It is computed in float32 under any autocast (float64 for float64 points) and has that dtype. A zero
    vector has no direction: it is left out, with its pairs, and gets no gradient. With fewer than two
    directions the loss is 0 with gradient 0. A point that is not finite makes it NaN. All n x n pairs are
    held.

    Args:
        points: one embedding a row, of shape (n, d).
        labels: not used; wrap the loss in `PerClass` for the mean over classes.
        t: positive, the sharpness of the potential.

    Raises:
        ValueError: if t is not positive and finite.

    >>> uniformity_loss(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]))
    tensor(-4.3963)
    """
    _check_sharpness(t)
    with full_precision(points) as rows:
        return _loss(rows, t)


class UniformityLoss(AtOnce):
    """`uniformity_loss` as a module, scaled by `weight`.

    >>> UniformityLoss(t=0.5)(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    tensor(-2.)
    """

    def __init__(self, weight: float = 1.0, t: float = 2.0) -> None:
        super().__init__()
        _check_sharpness(t)
        self.weight = check_weight(weight)
        self.t = t

    def forward(self, points: Points, labels: Labels | None = None) -> Scalar:
        return self.weight * uniformity_loss(points, labels, t=self.t)

    def of_each(self, clouds: Float[Tensor, "clouds n d"]) -> Float[Tensor, " clouds"]:
        """Return the loss of each cloud."""
        return self.weight * _loss(clouds, self.t)

    def extra_repr(self) -> str:
        return f"weight={self.weight}, t={self.t}"


def _loss(rows: Clouds, t: float) -> Float[Tensor, "*batch"]:
    n = rows.shape[-2]
    if n < 2:
        return zero_loss(rows)
    units, has_direction = unit_vectors(rows)
    count = has_direction.sum(dim=-1)
    itself = torch.eye(n, dtype=torch.bool, device=rows.device)
    left_out = itself | ~has_direction[..., None, :] | ~has_direction[..., None]
    exponents = 2 * t * (gram(units) - 1)  # |u - v|^2 = 2 - 2 u.v
    # without any pair nothing is masked, as the gradient of ln 0 would be NaN, and the value is not used
    exponents = exponents.masked_fill(left_out & (count > 1)[..., None, None], -math.inf)
    pairs = (count * (count - 1)).clamp(min=1).to(rows.dtype)  # the logarithm of integers is float32
    return torch.where(count > 1, torch.logsumexp(exponents, dim=(-2, -1)) - pairs.log(), 0)


def _check_sharpness(t: float) -> None:
    if not 0 < t < math.inf:
        raise ValueError(f"t is the sharpness of the potential and positive, got {t}")
