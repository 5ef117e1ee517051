"""Spectral entropy as a regularizer: use the directions of the space evenly.

With the eigenvalues lambda_i of the scatter of the centered batch and p_i = lambda_i / sum_j lambda_j,

    order 1:  loss = sum_i p_i ln p_i,      order 2:  loss = ln sum_i p_i^2 = ln (tr(C^2) / (tr C)^2),

minus the entropies of Shannon and of Renyi. 0 is a line, - ln min(n - 1, d) an even use of all directions
there are; minus the loss is the logarithm of the effective rank of variances (order 1) or of the
participation ratio (order 2). Order 1 minds weak directions, order 2 flattens strong ones.

The gradient runs through the eigenvalues only, d lambda_i = v_i^T dC v_i, so equal eigenvalues do no harm,
and an empty direction, whose gradient at the points is 0 in the limit, gets none. The loss depends on neither
the position nor the size of the cloud: it does not move the mean, and it does not undo a collapse to a point
(coincident points get no gradient; that of a small cloud is large as 1 / size). A thin line is opened.
With `center=False` the scatter is taken about the origin, the common direction is one of the directions, and
the gradient turns the points away from it.

Order 2 needs no eigenvalues. Order 1 calls `torch.linalg.eigvalsh`, which on CUDA waits for the device; order
2 does not wait.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Clouds, Labels, Points, Scalar
from conescope.losses.at_once import AtOnce
from conescope.losses.gram import gram
from conescope.losses.prepared import (
    centered_rows,
    full_precision,
    largest_of,
    spoiled_by_nan,
    unit_of,
    zero_loss,
)
from conescope.losses.weights import check_weight
from conescope.topology.entropy import entropy_of_shares

Order = Literal[1, 2]


def spectral_entropy_loss(
    points: Points, labels: Labels | None = None, *, order: Order = 1, center: bool = True
) -> Scalar:
    """Return minus the entropy of the spectrum in nats, from - ln min(n - 1, d) to 0.

    Uncentered, the least value is - ln min(n, d). It is computed in float32 under any autocast
    (float64 for float64 points) and has that dtype. The cost is that of one product n d min(n, d) and, for
    order 1, of the eigenvalues of a matrix of that smaller size. With fewer than two points, or coincident
    ones if centered, the loss is 0 with gradient 0. A point that is not finite makes it NaN.

    Args:
        points: one embedding a row, of shape (n, d).
        labels: not used; wrap the loss in `PerClass` for the mean over classes.
        order: 1 for Shannon's entropy, 2 for Renyi's of order 2.
        center: subtract the mean first.

    Raises:
        ValueError: if the order is neither 1 nor 2.

    >>> points = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])  # shares 4/5 and 1/5
    >>> spectral_entropy_loss(points), spectral_entropy_loss(points, order=2)
    (tensor(-0.5004), tensor(-0.3857))
    """
    _check_order(order)
    with full_precision(points) as rows:
        return _loss(rows, order, center)


class SpectralEntropyLoss(AtOnce):
    """`spectral_entropy_loss` as a module, scaled by `weight`.

    >>> SpectralEntropyLoss(weight=0.1)(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
    tensor(0.)
    """

    def __init__(self, weight: float = 1.0, order: Order = 1, center: bool = True) -> None:
        super().__init__()
        _check_order(order)
        self.weight = check_weight(weight)
        self.order = order
        self.center = center

    def forward(self, points: Points, labels: Labels | None = None) -> Scalar:
        return self.weight * spectral_entropy_loss(points, labels, order=self.order, center=self.center)

    def of_each(self, clouds: Float[Tensor, "clouds n d"]) -> Float[Tensor, " clouds"]:
        """Return the loss of each cloud."""
        return self.weight * _loss(clouds, self.order, self.center)

    def extra_repr(self) -> str:
        return f"weight={self.weight}, order={self.order}, center={self.center}"


def _check_order(order: int) -> None:
    if order not in (1, 2):
        raise ValueError(f"order must be 1 (Shannon) or 2 (Renyi), got {order}")


def _loss(rows: Clouds, order: Order, center: bool) -> Float[Tensor, "*batch"]:
    if rows.shape[-2] < 2:
        return zero_loss(rows)
    shares = _unit_scatter(centered_rows(rows) if center else rows)
    if order == 1:
        loss = 0 - entropy_of_shares(torch.linalg.eigvalsh(shares).clamp(min=0))
    else:
        flat = _trace(shares.detach()) == 0
        loss = torch.where(flat, 0, torch.where(flat, 1, shares.square().sum(dim=(-2, -1))).log())
    return spoiled_by_nan(loss, rows)


def _trace(matrices: Float[Tensor, "*batch k k"]) -> Float[Tensor, "*batch"]:
    return matrices.diagonal(dim1=-2, dim2=-1).sum(dim=-1)


def _unit_scatter(rows: Clouds) -> Float[Tensor, "*batch k k"]:
    """Return the smaller of the two product matrices of the rows, which share their spectrum, with trace 1.

    Rows of zeros, or as good as, give zeros; a row that is not finite gives the identity, as eigenvalues of
    NaN are refused.
    """
    n, d = rows.shape[-2:]
    rows = rows / unit_of(largest_of(rows))[..., None, None]  # then no square over- or underflows, or all do
    scatter = gram(rows if n <= d else rows.mT)
    trace = _trace(scatter)[..., None, None]
    shares = scatter / torch.where(trace == 0, 1, trace)
    identity = torch.eye(min(n, d), dtype=rows.dtype, device=rows.device)
    return torch.where(torch.isfinite(trace), shares, identity)
