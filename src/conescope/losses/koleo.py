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
from torch import Tensor, nn

from conescope._types import Labels, Points, Scalar
from conescope.losses.directions import unit_vectors
from conescope.losses.prepared import full_precision, spoiled_by_nan, zero_loss
from conescope.losses.weights import check_weight
from conescope.topology.lengths import edge_lengths
from conescope.topology.placing import placed

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
        if len(wide) < 2:
            return zero_loss(wide)
        everyone = torch.ones(len(wide), dtype=torch.bool, device=wide.device)
        rows, enters = unit_vectors(wide) if normalize else (wide, everyone)
        edges = torch.stack([torch.arange(len(rows), device=rows.device), _nearest(rows, enters)], dim=1)
        logarithms = torch.log(edge_lengths(rows, edges) + eps)
        count = enters.sum()
        mean = torch.where(enters & (count > 1), logarithms, 0).sum() / count.clamp(min=1)
        return spoiled_by_nan(0 - mean, wide)


class KoLeoLoss(nn.Module):
    """`koleo_loss` as a module, scaled by `weight`; DINOv2 has `DINOV2_WEIGHT`, 0.1."""

    def __init__(self, weight: float = 1.0, normalize: bool = True, eps: float = EPS) -> None:
        super().__init__()
        _check_eps(eps)
        self.weight = check_weight(weight)
        self.normalize = normalize
        self.eps = eps

    def forward(self, points: Points, labels: Labels | None = None) -> Scalar:
        return self.weight * koleo_loss(points, labels, normalize=self.normalize, eps=self.eps)

    def extra_repr(self) -> str:
        return f"weight={self.weight}, normalize={self.normalize}, eps={self.eps}"


def _check_eps(eps: float) -> None:
    if not 0 < eps < float("inf"):
        raise ValueError(f"eps keeps the logarithm of a distance finite and must be positive, got {eps}")


@torch.no_grad()
def _nearest(rows: Float[Tensor, "n d"], enters: Bool[Tensor, " n"]) -> Int64[Tensor, " n"]:
    """Return for each row the nearest other one of those that enter, the first of them at ties."""
    near = placed(rows)  # products of these tell close distances apart, wherever the cloud lies
    squares = near.square().sum(dim=1)
    distances = squares - 2 * (near @ near.T)  # less a constant of the row
    return distances.masked_fill_(~enters, torch.inf).fill_diagonal_(torch.inf).argmin(dim=1)
