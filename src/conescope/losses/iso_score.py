"""IsoScore* as a regularizer (I-STAR): more isotropy, or on purpose less.

With the covariance C of the batch, a covariance C0 of many points of the same kind and 0 <= zeta <= 1,

    loss = sign (1 - IsoScore((1 - zeta) C + zeta C0)),    IsoScore = (PR - 1) / (d - 1),

PR = (tr C)^2 / tr(C^2) the participation ratio. `sign="isotropic"` is the published positive lambda: from 1,
a line, to 0, isotropic. `sign="anisotropic"` is the negative one, with which the authors have their best
results: from 0, isotropic, to -1, a line. It is blind to the mean of the points. The batch enters through C,
a square, so near collapse the gradient fades with the size of the cloud: it does not promise to undo one.

Shrinkage makes a batch smaller than d usable, and C0 makes it I-STAR: shrinking towards isotropy of the
batch's own variance is another thing. So a reference must be given, or made by `update`.

Rudman and Eickhoff (2024, arXiv:2305.19358) take the states of all layers as the points, zeta = 0.2, C0 anew
in each epoch from up to 250 000 points; their example for SST-2 has lambda = -5.
`conescope.measures.isoscore_star` is the measure.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from conescope._check import check_finite, check_points
from conescope._closed_forms import isoscore_from_traces
from conescope._types import Covariance, Labels, Points, Scalar
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

ZETA = 0.2  # of the authors
Sign = Literal["isotropic", "anisotropic"]


def iso_score_loss(
    points: Points,
    labels: Labels | None = None,
    *,
    reference: Covariance | None = None,
    zeta: float = ZETA,
    sign: Sign = "isotropic",
) -> Scalar:
    """Return 1 - IsoScore* from 0 (isotropic) to 1 (a line), or its negative.

    It is computed in float32 under any autocast (float64 for float64 points) and has that dtype. With fewer
    than two points the loss is 0 with gradient 0. Coincident points get gradient 0, and the value of the
    reference alone; where the shrunk covariance is zero, that of a line. A point that is not finite makes it
    NaN. The cost is that of one product n d^2 with the reference.

    Args:
        points: one embedding a row, of shape (n, d) with d >= 2.
        labels: not used; wrap the loss in `PerClass` for the mean over classes.
        reference: C0, symmetric, in the square of the unit of the points, divided by n - 1. Its contents are
            not looked at, and it gets no gradient.
        zeta: the weight of the reference; 0 needs none and gives IsoScore.
        sign: "isotropic" or "anisotropic".

    Raises:
        ValueError: without a reference where zeta > 0, if its shape is not (d, d), if zeta leaves [0, 1], for
            an unknown sign, or for d = 1.

    >>> points = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])  # C = diag(2, 0), shrunk diag(1.5, 0.5), PR = 1.6
    >>> iso_score_loss(points, reference=torch.eye(2), zeta=0.5)
    tensor(0.4000)
    """
    _check_settings(zeta, sign)
    with full_precision(points) as rows:
        n, d = rows.shape
        if d < 2:
            raise ValueError(f"IsoScore compares directions, so it needs d >= 2 dimensions, got d = {d}")
        _check_reference(reference, zeta, d)
        if n < 2:
            return zero_loss(rows)
        trace, square = _traces(centered_rows(rows), None if zeta == 0 else reference, zeta)
        flat = square.detach() == 0
        score = isoscore_from_traces(trace, torch.where(flat, 1, square), d)
        loss = 1 - torch.where(flat, 0, score)
        return spoiled_by_nan(loss if sign == "isotropic" else -loss, points)


class IsoScoreLoss(nn.Module):
    """`iso_score_loss` as a module, scaled by `weight`, with the reference as a buffer `reference`.

    The buffer has shape (0, 0) until a reference is known; then (d, d), float32. It is part of the state,
    moves with the module, and is not changed by `forward`.

    >>> loss = IsoScoreLoss(sign="anisotropic")
    >>> loss.update(torch.eye(4))
    >>> loss.reference.diag()
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    reference: Tensor

    def __init__(
        self,
        weight: float = 1.0,
        zeta: float = ZETA,
        sign: Sign = "isotropic",
        reference: Covariance | None = None,
        momentum: float = 1.0,
    ) -> None:
        """Keep the settings; `momentum` is the share of the new points in each `update`, 1 to start anew."""
        super().__init__()
        _check_settings(zeta, sign)
        if not 0 < momentum <= 1:
            raise ValueError(f"momentum is the share of the new points, above 0 and up to 1, got {momentum}")
        self.weight = check_weight(weight)
        self.zeta = zeta
        self.sign = sign
        self.momentum = momentum
        self.register_buffer("reference", torch.zeros(0, 0))
        if reference is not None:
            _check_reference(reference, zeta, len(reference))
            self.reference = reference.detach().float().clone()

    @torch.no_grad()
    def update(self, points: Points) -> None:
        """Make the covariance of these points the reference, or move it there by `momentum`.

        The authors do so before each epoch, with up to 250 000 points. The contents are checked, which waits
        for the device; `forward` never does.

        Raises:
            ValueError: for fewer than two points, a row that is not finite (named), or another d than before.
        """
        check_points(points)
        check_finite(points)
        n, d = points.shape
        if n < 2:
            raise ValueError(f"a covariance needs two points or more, got {n}; call update with many points")
        if len(self.reference) not in (0, d):
            raise ValueError(f"the reference has d = {len(self.reference)}, but the points have d = {d}")
        with full_precision(points.detach()) as rows:
            rows = centered_rows(rows)
            new = (rows.T @ rows / (n - 1)).to(self.reference)
        first = len(self.reference) == 0
        self.reference = new if first else self.reference.lerp(new, self.momentum)

    def forward(self, points: Points, labels: Labels | None = None) -> Scalar:
        reference = self.reference if len(self.reference) else None
        return self.weight * iso_score_loss(
            points, labels, reference=reference, zeta=self.zeta, sign=self.sign
        )

    def extra_repr(self) -> str:
        return f"weight={self.weight}, zeta={self.zeta}, sign={self.sign!r}, momentum={self.momentum}"

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any) -> None:
        saved = state_dict.get(f"{prefix}reference")
        if saved is not None and saved.shape != self.reference.shape:  # the size is part of what is loaded
            self.reference = self.reference.new_zeros(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def _check_settings(zeta: float, sign: str) -> None:
    if not 0 <= zeta <= 1:
        raise ValueError(f"zeta is the weight of the reference, between 0 and 1, got {zeta}")
    if sign not in get_args(Sign):
        raise ValueError(f"sign must be one of {', '.join(get_args(Sign))}, got {sign!r}")


def _check_reference(reference: Covariance | None, zeta: float, d: int) -> None:
    if reference is None and zeta > 0:
        raise ValueError(
            "I-STAR shrinks towards the covariance of many points, and there is none: pass reference=, or "
            "call update(points) of the module first; zeta = 0 needs none"
        )
    if reference is not None and reference.shape != (d, d):
        raise ValueError(
            f"reference is a covariance of shape ({d}, {d}), as the points have d = {d}, got shape "
            f"{tuple(reference.shape)}"
        )


def _traces(rows: Points, reference: Covariance | None, zeta: float) -> tuple[Scalar, Scalar]:
    """Return tr S and tr(S^2) of S = (1 - zeta) C + zeta C0, for C of centered rows, without making C or S.

    tr(S^2) = (1 - zeta)^2 tr(C^2) + 2 zeta (1 - zeta) tr(C C0) + zeta^2 tr(C0^2). The unit is one that keeps
    fourth powers in range.
    """
    n, d = rows.shape
    largest = largest_of(rows)
    if reference is not None:
        reference = reference.detach().to(rows)
        largest = torch.maximum(largest, reference.diagonal().abs().amax().sqrt())
    unit = unit_of(largest)
    rows = rows / unit / math.sqrt(n - 1)
    scatter = gram(rows if n <= d else rows.T)  # the trace of C, and the trace of its square
    trace, square = scatter.trace(), scatter.square().sum()
    if reference is None:
        return trace, square
    reference = reference / unit.square()
    mixed = (rows @ reference * rows).sum()
    return (
        (1 - zeta) * trace + zeta * reference.trace(),
        (1 - zeta) ** 2 * square + 2 * zeta * (1 - zeta) * mixed + zeta**2 * reference.square().sum(),
    )
