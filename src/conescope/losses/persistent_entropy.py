"""Persistent entropy as a regularizer: spread each class of a batch evenly.

    loss = - sum over classes c of E(selected H0 bars of the points of class c)

Lower is more even: the gradient shrinks the long selected bars and grows the short ones. The entropy
knows only the relative lengths of bars, so it depends on neither the position nor the scale of a
class: it can not move the common mean, and so not the uncentered anisotropy, except through the spread.

The task loss and this one have weight 1 each in Kudriashov et al. (2025, arXiv:2501.05502), whose
published formula this is. Their code adds a further term on the discarded bars, with the sign that
pushes these bars up; it is not part of the formula and not included.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from conescope._check import check_labels, check_points, surely_finite
from conescope._types import Labels, Points, Scalar
from conescope.losses.classes import Kinds, Members, everyone, kinds_of_classes, members_of_classes
from conescope.topology.entropy import entropy_of_shares
from conescope.topology.lengths import edge_lengths
from conescope.topology.selection import LONG, Rule, check_rule, features
from conescope.topology.trees import forest_edges, padded_trees


class PersistentEntropyTerms(NamedTuple):
    """The loss and what it was made of. The counts are 0-dim integer tensors, for logging."""

    loss: Scalar
    bars: Int[Tensor, ""]  # finite bars of the classes that entered
    bars_kept: Int[Tensor, ""]  # of these, the selected ones
    classes: Int[Tensor, ""]  # that entered
    classes_skipped: Int[Tensor, ""]  # with fewer points than min_points


def persistent_entropy_loss(
    points: Points,
    labels: Labels | None = None,
    *,
    selection: Rule | None = "recursive",
    min_points: int = 5,
) -> PersistentEntropyTerms:
    """Return minus the H0 persistent entropy summed over the classes, in nats, and its counts.

    The loss lies between - classes * ln(bars) and 0. Without labels all points are one class. Points
    with a negative label, such as the -100 of unlabelled rows, are left out. A class with fewer than
    `min_points` points is skipped; if none is left, the loss is 0 with gradient 0. A point that is not
    finite makes loss and gradient NaN rather than an exception, so that gradient scalers can skip the step.

    All classes are computed together, in float32 under any autocast (float64 for float64 points), and the
    loss has that dtype. Nothing waits for an accelerator up to 1024 points, at the price of products of all
    pairs if labels are there. Of more points, labels are read once a call; those on the host cost no wait.

    Args:
        points: one embedding a row.
        labels: class numbers.
        selection: which bars count, see `conescope.topology.select_bars`; None for all.
        min_points: at least 2.
    """
    check_points(points)
    _check_settings(selection, min_points)
    if labels is not None:
        check_labels(labels, len(points))
    with torch.autocast(points.device.type, enabled=False):
        points = points if points.dtype == torch.float64 else points.float()
        found = _bars(points, labels, min_points)
        kept = features(found.lengths, selection, found.most)
        loss = 0 - entropy_of_shares(found.lengths.masked_fill(~kept, 0)).sum()  # 0, not -0, without bars
        loss = _spoiled(loss, points)
    return PersistentEntropyTerms(loss, found.bars, kept.sum(), found.classes, found.skipped)


class PersistentEntropyLoss(nn.Module):
    """`persistent_entropy_loss` as a module, scaled by `weight`.

    After a call, `observed` holds the counts of that call as detached tensors, for logging.
    """

    def __init__(
        self, weight: float = 1.0, selection: Rule | None = "recursive", min_points: int = 5
    ) -> None:
        super().__init__()
        _check_settings(selection, min_points)
        if not math.isfinite(weight):
            raise ValueError(f"weight must be finite, got {weight}")
        self.weight = weight
        self.selection = selection
        self.min_points = min_points
        self.observed: dict[str, Tensor] = {}

    def forward(self, points: Points, labels: Labels | None = None) -> Scalar:
        terms = persistent_entropy_loss(points, labels, selection=self.selection, min_points=self.min_points)
        self.observed = {
            "bars": terms.bars,
            "bars_kept": terms.bars_kept,
            "classes_skipped": terms.classes_skipped,
        }
        return self.weight * terms.loss

    def extra_repr(self) -> str:
        return f"weight={self.weight}, selection={self.selection!r}, min_points={self.min_points}"


def _check_settings(selection: str | None, min_points: int) -> None:
    check_rule(selection)
    if min_points < 2:
        raise ValueError(f"min_points must be at least 2, as one point has no bar, got {min_points}")


def _spoiled(loss: Scalar, points: Points) -> Scalar:
    """Return the loss; NaN, and with it the gradient of every point, where a point is not finite.

    The selection may keep no bar of such points, so that their NaN would not reach the gradient by itself.
    """
    if points.is_cpu and not torch.compiler.is_compiling() and surely_finite(points):
        return loss  # two passes over gradients less; on an accelerator nothing waits for the answer
    return loss + (points * torch.where(torch.isfinite(points).all(), 0.0, torch.nan)).sum()


class _Bars(NamedTuple):
    """The bars of each class, a row each with zeros for those it lacks, and what was counted."""

    lengths: Float[Tensor, "classes bars"]
    bars: Int[Tensor, ""]
    classes: Int[Tensor, ""]
    skipped: Int[Tensor, ""]
    most: int | None = None  # bars there may be, if rows have room for far more


def _bars(points: Points, labels: Labels | None, min_points: int) -> _Bars:
    if labels is None:
        return _bars_of_members(points, everyone(len(points), min_points, points.device))
    waits = not labels.is_cpu or torch.compiler.is_compiling()
    if waits and len(points) <= LONG:
        return _bars_of_kinds(points, kinds_of_classes(labels.to(points.device), min_points))
    return _bars_of_members(points, members_of_classes(labels, min_points, points.device))


def _bars_of_members(points: Points, members: Members) -> _Bars:
    trees = padded_trees(points, members.present, members.rows)
    rows = members.rows.gather(1, trees.edges.flatten(1)).reshape(-1, 2)
    known = None if trees.lengths is None else trees.lengths.flatten()
    lengths = edge_lengths(points, rows, known).reshape(trees.edges.shape[:2])
    counts = (members.points - len(members.rows), len(members.rows), members.skipped)
    bars, classes, skipped = (torch.full((), number, device=points.device) for number in counts)
    return _Bars(lengths, bars, classes, skipped)


def _bars_of_kinds(points: Points, kinds: Kinds) -> _Bars:
    """Return the bars of labels that are not read: a row for each class that there may be."""
    edges = forest_edges(points, kinds.numbers)
    owner = torch.where(edges[:, 0] == edges[:, 1], kinds.most, kinds.numbers[edges[:, 0]])
    every = torch.arange(kinds.most, device=points.device)
    lengths = torch.where(owner == every[:, None], edge_lengths(points, edges), 0)
    return _Bars(lengths, kinds.points - kinds.classes, kinds.classes, kinds.skipped, len(edges))
