"""Alignment as a loss: views of the same thing look the same way.

With u_i = x_i / |x_i|, over the positive pairs (i, j),

    loss = mean |u_i - u_j|^a,    a = 2:  2 - 2 mean cos(x_i, x_j).

0 means that positives share their direction, 2^a that they look opposite ways. It only pulls: collapse has
the least value, so it needs a loss beside it that repels, such as `UniformityLoss`. It ignores lengths.

The positives are named in one of two ways: by `labels`, all pairs i < j of equal labels (two views of each of
n things are 2 n rows with each label twice; more views or whole classes are fine), or by `partners`, where
row i of the partners belongs to row i of the points. There is no default, as a guess would train silently
on wrong pairs.

Wang and Isola (2020, arXiv:2005.10242) train with a = 2 and weight 1 beside the uniformity, also of weight 1.
`conescope.measures.alignment` is the measure.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from conescope._check import check_labels
from conescope._types import Labels, Points, Scalar
from conescope.losses.directions import unit_vectors
from conescope.losses.prepared import full_precision, spoiled_by_nan, zero_loss
from conescope.losses.weights import check_weight


def alignment_loss(
    points: Points,
    labels: Labels | None = None,
    *,
    partners: Points | None = None,
    exponent: float = 2.0,
) -> Scalar:
    """Return the mean power of the distances between positives, from 0 to 2^exponent.

    It is computed in float32 under any autocast (float64 for float64 points) and has that dtype. A pair with
    a zero vector is left out and gets no gradient. Without a pair the loss is 0 with gradient 0. Positives
    that look exactly the same way get no gradient. A point that is not finite makes it NaN, whether it has a
    positive or not. With labels all n x n pairs are held.

    Args:
        points: one embedding a row, of shape (n, d).
        labels: rows of equal labels are positives; rows with a negative label, such as -100, have none.
        partners: of the shape of the points; row i is the positive of row i.
        exponent: positive, of the distance of a pair.

    Raises:
        ValueError: unless exactly one of labels and partners is given, of the right shape, and the exponent
            is positive and finite.

    >>> points = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, -1.0]])
    >>> alignment_loss(points, torch.tensor([0, 1, 0, 1]))  # (0 + 2^2) / 2
    tensor(2.)
    """
    _check_exponent(exponent)
    if (labels is None) == (partners is None):
        raise ValueError(
            "alignment needs to know the positives: pass either labels (equal labels are positives) or "
            f"partners= (row i belongs to row i), got {'neither' if labels is None else 'both'}"
        )
    with full_precision(points) as rows:
        if partners is None:
            assert labels is not None
            check_labels(labels, len(points))
            distances, positive = _distances_of_labels(rows, labels)
            involved = rows
        else:
            if partners.shape != points.shape:
                raise ValueError(
                    "partners have the shape of the points, row i being the partner of point i: "
                    f"expected {tuple(points.shape)}, got {tuple(partners.shape)}"
                )
            with full_precision(partners) as others:
                distances, positive = _distances_of_partners(rows, others)
                involved = torch.cat([rows, others.to(rows.dtype)])
        if len(rows) == 0:
            return zero_loss(rows)
        apart = positive & (distances != 0)  # the power of 0 has an infinite gradient for exponents below 1
        powers = torch.where(apart, torch.where(apart, distances, 1) ** exponent, 0)
        return spoiled_by_nan(powers.sum() / positive.sum().clamp(min=1), involved)


class AlignmentLoss(nn.Module):
    """`alignment_loss` as a module, scaled by `weight`; it takes labels or partners.

    >>> AlignmentLoss(exponent=1.0)(torch.tensor([[1.0, 0.0]]), partners=torch.tensor([[-5.0, 0.0]]))
    tensor(2.)
    """

    def __init__(self, weight: float = 1.0, exponent: float = 2.0) -> None:
        super().__init__()
        _check_exponent(exponent)
        self.weight = check_weight(weight)
        self.exponent = exponent

    def forward(self, points: Points, labels: Labels | None = None, partners: Points | None = None) -> Scalar:
        return self.weight * alignment_loss(points, labels, partners=partners, exponent=self.exponent)

    def extra_repr(self) -> str:
        return f"weight={self.weight}, exponent={self.exponent}"


def _check_exponent(exponent: float) -> None:
    if not 0 < exponent < math.inf:
        raise ValueError(f"exponent must be positive, got {exponent}")


def _distances_of_labels(rows: Points, labels: Labels) -> tuple[Float[Tensor, "n n"], Bool[Tensor, "n n"]]:
    units, has_direction = unit_vectors(rows)
    # from differences, as those of cosines would have no digits left for near pairs
    distances = torch.cdist(units, units, compute_mode="donot_use_mm_for_euclid_dist")
    enters = has_direction & (labels >= 0)
    positive = (labels == labels[:, None]) & enters & enters[:, None]
    return distances, positive.triu(diagonal=1)


def _distances_of_partners(
    rows: Points, partners: Float[Tensor, "n d"]
) -> tuple[Float[Tensor, " n"], Bool[Tensor, " n"]]:
    one, has_one = unit_vectors(rows)
    other, has_other = unit_vectors(partners)
    return torch.linalg.vector_norm(one - other, dim=1), has_one & has_other
