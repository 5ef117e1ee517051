"""Cross-correlation: two views of an example agree in every coordinate, and no two coordinates agree.

With the correlations C_ij, over the N examples, of coordinate i of the first view and j of the second,

    loss = sum over i of (1 - C_ii)^2 + lambda * sum over i != j of C_ij^2.

Coordinates are centered and divided by sqrt(variance + 1e-5), so that nothing breaks where one is
constant. 0 is reached where the views are equal and their coordinates uncorrelated; views that are
constant have the loss d. Unchanged by translation, and, as long as variances are well above 1e-5, by
scaling of single coordinates; rotation changes it.

This is Barlow Twins (Zbontar, Jing, Misra, LeCun and Deny, 2021, arXiv:2103.03230), with lambda 5e-3.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from conescope._check import check_labels, check_points
from conescope._types import Labels, Points, Scalar
from conescope.losses.off_diagonal import off_diagonal_squares
from conescope.losses.prepared import full_precision, spoiled_by_nan, zero_loss
from conescope.losses.weights import check_weight

LAMBDA = 5e-3  # published: weight of the squares off the diagonal
EPS = 1e-5  # added to a variance, as the batch normalization of the published method does
WANTED = (
    "two views of each example are compared: give labels, each of them twice, or partners, the second view "
    "of each point"
)


def cross_correlation_loss(
    points: Points,
    labels: Labels | None = None,
    *,
    partners: Points | None = None,
    off_diagonal: float = LAMBDA,
) -> Scalar:
    """Return the loss, from 0 to d (4 + lambda (d - 1)).

    The two views of an example are two rows of the same label, the first of them being the first view; rows
    with a negative label are left out. Or they are the same row of `points` and of `partners`.

    Where all points of a view are equal, the loss is finite and its gradient 0 for both: a collapse is not
    opened. Fewer than two examples give loss 0 with gradient 0. A value that is not finite makes it NaN.
    With more dimensions than examples no (d, d) matrix is formed. Computed in float32 under any autocast
    (float64 for float64 points). That every label occurs twice is checked on the CPU; elsewhere the
    check would wait for the device, and the loss is NaN instead.

    Args:
        points: one embedding a row.
        labels: the number of the example that a row is a view of.
        partners: the second views, if the points are the first; excludes labels.
        off_diagonal: lambda.

    Raises:
        TypeError: if points are not floating point or labels not integers.
        ValueError: if shapes do not fit, neither or both of labels and partners are given, a label does not
            occur exactly twice, or lambda is not finite.

    >>> views = torch.tensor([[100.0, 100.0], [100.0, -100.0], [-100.0, 100.0], [-100.0, -100.0]])
    >>> cross_correlation_loss(views, partners=views)
    tensor(0.)
    """
    check_weight(off_diagonal, "off_diagonal")
    with full_precision(points) as rows:
        views = _views(rows, labels, partners)
        involved = torch.cat([rows, views.second])
        if len(views.present) < 2:
            return zero_loss(involved)
        count = views.present.sum()
        first, second = (_standard(view, views.present, count) for view in views[:2])
        squares, diagonal = off_diagonal_squares(first, second)
        loss = (1 - diagonal).square().sum() + off_diagonal * squares
        loss = torch.where(count < 2, 0, loss)
        return spoiled_by_nan(torch.where(views.valid, loss, torch.nan), involved)


class CrossCorrelationLoss(nn.Module):
    """`cross_correlation_loss` as a module, scaled by `weight`."""

    def __init__(self, weight: float = 1.0, off_diagonal: float = LAMBDA) -> None:
        super().__init__()
        self.weight = check_weight(weight)
        self.off_diagonal = check_weight(off_diagonal, "off_diagonal")

    def forward(self, points: Points, labels: Labels | None = None, partners: Points | None = None) -> Scalar:
        return self.weight * cross_correlation_loss(
            points, labels, partners=partners, off_diagonal=self.off_diagonal
        )

    def extra_repr(self) -> str:
        return f"weight={self.weight}, off_diagonal={self.off_diagonal}"


class _Views(NamedTuple):
    first: Float[Tensor, "examples d"]
    second: Float[Tensor, "examples d"]
    present: Bool[Tensor, " examples"]  # the rest are rows that are left out
    valid: Bool[Tensor, ""]


def _views(points: Points, labels: Labels | None, partners: Points | None) -> _Views:
    if partners is None:
        if labels is None:
            raise ValueError(f"{WANTED}; got neither")
        check_labels(labels, len(points))
        return _paired(points, labels)
    if labels is not None:
        raise ValueError(f"{WANTED}; got both")
    check_points(partners)
    if partners.shape != points.shape:
        raise ValueError(
            f"partners are the second view of each point: expected shape {tuple(points.shape)}, "
            f"got {tuple(partners.shape)}"
        )
    present = torch.ones(len(points), dtype=torch.bool, device=points.device)
    return _Views(points, partners.to(points.dtype), present, present.all())


def _paired(points: Points, labels: Labels) -> _Views:
    """Return the rows of each label side by side, whatever is left out last."""
    last = torch.iinfo(labels.dtype).max
    labels, order = torch.where(labels < 0, last, labels).sort(stable=True)
    whole = len(labels) // 2 * 2
    pairs = labels[:whole].reshape(-1, 2)
    present = pairs[:, 0] < last
    twice = ((pairs[:, 0] == pairs[:, 1]) | ~present).all() & (labels[whole:] == last).all()
    valid = twice & ~((pairs[1:, 0] == pairs[:-1, 0]) & present[1:]).any()
    if valid.device.type == "cpu" and not valid:
        names, counts = torch.unique(labels[labels < last], return_counts=True)
        wrong = int((counts != 2).int().argmax())
        raise ValueError(
            f"each label must occur exactly twice, once for each view, but {int(names[wrong])} occurs "
            f"{int(counts[wrong])} times; a row without a partner needs a negative label"
        )
    first, second = points[order[:whole]].reshape(-1, 2, points.shape[1]).unbind(dim=1)
    return _Views(first, second, present, valid)


def _standard(
    view: Float[Tensor, "examples d"], present: Bool[Tensor, " examples"], count: Tensor
) -> Float[Tensor, "examples d"]:
    """Return the view with mean 0 and square sum 1 in each coordinate, absent rows 0."""
    count = count.clamp(min=1)
    here = present[:, None]
    rows = torch.where(here, view - view[0].detach(), 0)  # the mean of equal points is then exact
    rows = torch.where(here, rows - rows.sum(dim=0) / count, 0)
    return rows / torch.sqrt(count * (rows.square().sum(dim=0) / count + EPS))
