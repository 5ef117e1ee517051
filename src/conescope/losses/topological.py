"""Topological: keep the distances at which the clusters of a reference space merge.

With the distances d_X of the reference points and d_Z of the same points in the space that is trained, and
the edges of both minimum spanning trees,

    loss = 1/2 sum over the edges of X's tree of (d_X - s d_Z)^2
         + 1/2 sum over the edges of Z's tree of (d_X - s d_Z)^2.

The edges of the tree are the finite bars of H0. 0 means that both trees have the same lengths in both
spaces, as any isometry gives. Unchanged by translation and rotation of either space; scaling changes it
unless the scale s is the ratio of the means.

This is the loss of topological autoencoders (Moor, Horn, Rieck and Borgwardt, 2020, arXiv:1906.00722), with
the edges of both trees. Their code has no 1/2 and divides by the number of points; s is learned there,
as 1 over a norm of the latent space.
"""

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from conescope._check import check_points
from conescope._types import Labels, Points, Scalar
from conescope.losses.prepared import full_precision, spoiled_by_nan, zero_loss
from conescope.losses.weights import check_weight
from conescope.topology.lengths import edge_lengths
from conescope.topology.trees import padded_edges

ReferencePoints: TypeAlias = Float[Tensor, "n _"]  # their dimension is their own


def topological_loss(
    points: Points,
    labels: Labels | None = None,
    *,
    reference: ReferencePoints,
    scale: Scalar | float | Literal["means"] = 1.0,
) -> Scalar:
    """Return the loss, at least 0.

    Trees are chosen without gradient, lengths carry it; the reference gets none. Where all points are
    equal, all lengths are 0 with gradient 0, as no direction leads apart: the loss is then finite, half the
    squares of the lengths that are missed, and the collapse is not opened. As soon as the points differ,
    their edges are pulled to the length they had. Where the tree of the points changes, the loss jumps.

    Fewer than two points give loss 0 with gradient 0. A value that is not finite makes the loss NaN. Computed
    in float32 under any autocast (float64 for float64 points). One matrix of n^2 distances a space.

    Args:
        points: one embedding a row.
        labels: without meaning here; `PerClass` can not be used, as it does not divide the reference.
        reference: the same points in the space whose structure is kept; of any dimension.
        scale: s, what distances between the points are multiplied by: a number, a 0-dim tensor, which gets a
            gradient, or "means": the mean of d_X over that of d_Z, over the edges of both trees. With that
            the loss does not depend on the scale of the points (1 where all of them are equal, or as good as,
            which is below some 1e-19 in float32).

    Raises:
        TypeError: if points or reference are not floating point.
        ValueError: if their shapes do not fit, or the scale is a number that is not positive.

    >>> line = torch.tensor([[0.0], [1.0], [3.0]])
    >>> topological_loss(torch.tensor([[0.0], [2.0], [3.0]]), reference=line)  # 1, 2 have become 2, 1
    tensor(2.)
    """
    check_points(reference)
    _check_scale(scale)
    if len(reference) != len(points):
        raise ValueError(
            f"the reference holds the same points in another space: expected {len(points)} rows, "
            f"got {len(reference)}"
        )
    with full_precision(points) as rows:
        reference = reference.detach().to(rows.dtype)
        if len(rows) < 2:
            return zero_loss(rows)
        edges = torch.cat([padded_edges(cloud[None])[0] for cloud in (reference, rows)])
        kept, found = edge_lengths(reference, edges), edge_lengths(rows, edges)
        factor = _ratio(kept.mean(), found.mean()) if isinstance(scale, str) else scale
        loss = (kept - factor * found).square().sum() / 2
        return spoiled_by_nan(spoiled_by_nan(loss, rows), reference)


class TopologicalLoss(nn.Module):
    """`topological_loss` as a module, scaled by `weight`.

    The reference is given with each call, or by a function that is called with the points, detached, and
    returns the same ones in the reference space: for instance what a frozen copy of the model made of them.

    With scale "learned" the module has a parameter, the logarithm of the scale, that begins at 0: hand
    `parameters()` to the optimizer.
    """

    def __init__(
        self,
        weight: float = 1.0,
        reference: Callable[[Tensor], Tensor] | None = None,
        scale: float | Literal["means", "learned"] = 1.0,
    ) -> None:
        super().__init__()
        self.weight = check_weight(weight)
        if scale != "learned":
            _check_scale(scale)
        self.reference = reference
        self.scale = scale
        self.log_scale = nn.Parameter(torch.zeros(())) if scale == "learned" else None

    def forward(
        self, points: Points, labels: Labels | None = None, reference: ReferencePoints | None = None
    ) -> Scalar:
        if reference is None:
            if self.reference is None:
                raise ValueError(
                    "a structure to keep is needed: give reference points with the call, "
                    "or a function of the points to TopologicalLoss(reference=...)"
                )
            reference = self.reference(points.detach())
        scale: Scalar | float | Literal["means"] = "means" if isinstance(self.scale, str) else self.scale
        if self.log_scale is not None:
            scale = self.log_scale.exp()
        return self.weight * topological_loss(points, labels, reference=reference, scale=scale)

    def extra_repr(self) -> str:
        return f"weight={self.weight}, scale={self.scale!r}"


def _check_scale(scale: Tensor | float | str) -> None:
    wrong = scale != "means" if isinstance(scale, str) else not isinstance(scale, Tensor)
    if wrong and (isinstance(scale, str) or not 0 < scale < math.inf):
        raise ValueError(f'scale must be positive, "means" (or "learned", in the module), got {scale!r}')


def _ratio(kept: Scalar, found: Scalar) -> Scalar:
    """Return kept / found, and 1 where that has no meaning, or its gradient kept / found^2 no number."""
    apart = found.square() > torch.finfo(found.dtype).tiny * kept
    return torch.where(apart, kept / torch.where(apart, found, 1), 1)
