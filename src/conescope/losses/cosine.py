"""Mean cosine as a regularizer (CosReg): turn the points away from their common direction.

With u_i = x_i / |x_i|, over all pairs i != j,

    loss = mean u_i . u_j = (|sum_i u_i|^2 - n) / (n (n - 1)),

the closed form at cost n d. 1 is a cone of no width, -1 / (n - 1) the least value, reached whenever the
directions sum to zero: a single axis used in both senses scores as well as an even sphere. The gradient at
x_i is -2 / (n (n - 1) |x_i|) times the part of -sum_j u_j at right angles to u_i: it moves the mean, nothing
else. It ignores lengths. At exact collapse it is zero (all gradients are along the points); the least
difference of directions is enough to open.

Gao, He, Tan, Qin, Wang, Liu (2019, arXiv:1907.12009) add it for the output embeddings of a language model,
with weight 1. Common code divides the sum over the pairs i != j by n^2, which is `include_self=True`.
`conescope.measures.mean_cosine` is the measure.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._closed_forms import mean_cosine_from_sum
from conescope._types import Clouds, Labels, Points, Scalar
from conescope.losses.at_once import AtOnce
from conescope.losses.directions import unit_vectors
from conescope.losses.prepared import full_precision, zero_loss
from conescope.losses.weights import check_weight


def cosine_loss(points: Points, labels: Labels | None = None, *, include_self: bool = False) -> Scalar:
    """Return the mean cosine over the pairs of points, from -1 / (n - 1) to 1.

    It is computed in float32 under any autocast (float64 for float64 points) and has that dtype. A zero
    vector has no direction: it is left out, with its pairs, and gets no gradient. With fewer than two
    directions the loss is 0 with gradient 0. A point that is not finite makes it NaN.

    Args:
        points: one embedding a row, of shape (n, d).
        labels: not used; wrap the loss in `PerClass` for the mean over classes.
        include_self: divide by n^2, a point with itself counting as a pair of cosine 0, as common code does.

    >>> cosine_loss(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]), include_self=True)  # 2 sqrt(2) / 9
    tensor(0.3143)
    """
    with full_precision(points) as rows:
        return _loss(rows, include_self)


class CosineLoss(AtOnce):
    """`cosine_loss` as a module, scaled by `weight`.

    >>> CosineLoss(weight=0.5)(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
    tensor(0.5000)
    """

    def __init__(self, weight: float = 1.0, include_self: bool = False) -> None:
        super().__init__()
        self.weight = check_weight(weight)
        self.include_self = include_self

    def forward(self, points: Points, labels: Labels | None = None) -> Scalar:
        return self.weight * cosine_loss(points, labels, include_self=self.include_self)

    def of_each(self, clouds: Float[Tensor, "clouds n d"]) -> Float[Tensor, " clouds"]:
        """Return the loss of each cloud."""
        return self.weight * _loss(clouds, self.include_self)

    def extra_repr(self) -> str:
        return f"weight={self.weight}, include_self={self.include_self}"


def _loss(rows: Clouds, include_self: bool) -> Float[Tensor, "*batch"]:
    if rows.shape[-2] < 2:
        return zero_loss(rows)
    units, has_direction = unit_vectors(rows)
    found = has_direction.sum(dim=-1)
    count = found.clamp(min=2)
    mean = mean_cosine_from_sum(units.sum(dim=-2), count)
    if include_self:
        mean = mean * (count - 1) / count
    return torch.where(found < 2, 0, mean)
