"""KoLeo: push every point away from its nearest neighbor.

    loss = - mean over i of ln(|u_i - u_nn(i)| + eps),    u_i = x_i / |x_i|

Up to constants this is minus the Kozachenko-Leonenko estimate of the differential entropy of the
directions, from which it has its name. It is low where no two points are close, that is, where they cover
the sphere evenly: from -ln(2 + eps), two opposite points, to -ln(eps), nothing but copies.

Unchanged by rotation, and by scaling also of single points; translation changes it. With
`normalize=False` distances are those of the points themselves: then translation does not change it, and
scaling by a adds -ln(a), so that it falls without bound as the cloud grows.

Sablayrolles, Douze, Schmid and Jégou (2019, arXiv:1806.03198) proposed it. Oquab et al. (2023, DINOv2,
arXiv:2304.07193) use it with weight 0.1; their code also adds eps to every coordinate of the difference,
so that copies come out at 17.4 in three dimensions, not at 18.4 as here.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from conescope._types import Labels, Points, Scalar
from conescope.losses.at_once import AtOnce
from conescope.losses.directions import unit_vectors
from conescope.losses.prepared import full_precision, spoiled_by_nan, zero_loss
from conescope.losses.weights import check_weight
from conescope.topology.lengths import edge_lengths_of_clouds
from conescope.topology.products import products

EPS = 1e-8  # published
DINOV2_WEIGHT = 0.1


def koleo_loss(
    points: Points, labels: Labels | None = None, *, normalize: bool = True, eps: float = EPS
) -> Scalar:
    """Return the loss, from -ln(2 + eps) to -ln(eps) on the sphere; lower is more even.

    Neighbors are chosen without gradient; their distance carries it, at most 1 / (n eps) for a term. Copies
    have distance 0 and gradient 0 between them, as no direction leads apart: a batch of nothing but copies
    has a finite loss, but is not opened. As soon as two points differ in the last digit, they are pushed
    apart, and the more the closer they are; `eps` of 1e-3 makes that push gentler.

    A zero vector has no direction and is left out, if normalized. Fewer than two points give loss 0 with
    gradient 0. A point that is not finite makes the loss NaN. Computed in float32 under any autocast
    (float64 for float64 points).

    Args:
        points: one embedding a row.
        labels: without meaning here; `PerClass` gives them one.
        normalize: directions (published), or the points as they are.
        eps: keeps the logarithm finite; positive.

    Raises:
        TypeError: if the points are not floating point.
        ValueError: if they are not of shape (n, d), or eps is not positive.

    >>> koleo_loss(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]))  # -ln sqrt(2)
    tensor(-0.3466)
    """
    _check_eps(eps)
    with full_precision(points) as wide:
        return _losses(wide[None], normalize, eps)[0]


def _losses(clouds: Float[Tensor, "clouds n d"], normalize: bool, eps: float) -> Float[Tensor, " clouds"]:
    count, n, _ = clouds.shape
    if n < 2:
        return zero_loss(clouds)
    everyone = torch.ones(count, n, dtype=torch.bool, device=clouds.device)
    rows, enters = unit_vectors(clouds) if normalize else (clouds, everyone)
    each = torch.arange(n, device=rows.device).expand(count, n)
    edges = torch.stack([each, _nearest(rows, enters)], dim=2)
    logarithms = torch.log(edge_lengths_of_clouds(rows, edges) + eps)
    entered = enters.sum(dim=1, keepdim=True)
    sums = torch.where(enters & (entered > 1), logarithms, 0).sum(dim=1)
    return spoiled_by_nan(0 - sums / entered[:, 0].clamp(min=1), clouds)


class KoLeoLoss(AtOnce):
    """`koleo_loss` as a module, scaled by `weight`; DINOv2 has `DINOV2_WEIGHT`, 0.1."""

    def __init__(self, weight: float = 1.0, normalize: bool = True, eps: float = EPS) -> None:
        super().__init__()
        _check_eps(eps)
        self.weight = check_weight(weight)
        self.normalize = normalize
        self.eps = eps

    def forward(self, points: Points, labels: Labels | None = None) -> Scalar:
        return self.weight * koleo_loss(points, labels, normalize=self.normalize, eps=self.eps)

    def of_each(self, clouds: Float[Tensor, "clouds n d"]) -> Float[Tensor, " clouds"]:
        """Return the loss of each cloud."""
        return self.weight * _losses(clouds, self.normalize, self.eps)

    def extra_repr(self) -> str:
        return f"weight={self.weight}, normalize={self.normalize}, eps={self.eps}"


def _check_eps(eps: float) -> None:
    if not 0 < eps < float("inf"):
        raise ValueError(f"eps keeps the logarithm of a distance finite and must be positive, got {eps}")


@torch.no_grad()
def _nearest(
    rows: Float[Tensor, "clouds n d"], enters: Bool[Tensor, "clouds n"]
) -> Int64[Tensor, "clouds n"]:
    """Return for each row the nearest other one of its cloud, of those that enter; the first at ties."""
    found = products(rows)  # about the origin: they tell close distances apart, wherever the cloud lies
    squares = found.diagonal(dim1=1, dim2=2)
    distances = squares[:, None] - 2 * found  # less a constant of the row
    distances.masked_fill_(~enters[:, None], torch.inf).diagonal(dim1=1, dim2=2).fill_(torch.inf)
    return distances.argmin(dim=2)
