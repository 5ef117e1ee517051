"""Any loss within the classes of a batch: the cloud of each class by itself.

    loss = mean over classes c of loss(points of class c)          or their sum

Spread within a class is what is left for a regularizer to act on when the task pulls the classes apart.
"""

from collections import Counter
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from conescope._check import check_labels
from conescope._types import Labels, Points, Scalar
from conescope.losses.at_once import AtOnce
from conescope.losses.classes import by_class
from conescope.losses.gathered import Gathered
from conescope.losses.prepared import full_precision, spoiled_by_nan, zero_loss
from conescope.losses.remembered import Remembered
from conescope.losses.wrapper import Loss, Wrapper, check_single_cloud, count, merged, observed_by

Reduction = Literal["mean", "sum"]


class PerClass(Wrapper):
    """A loss of each class of the labels, averaged over the classes, or summed.

    Points with a negative label, such as the -100 of unlabelled rows, are left out. A class with fewer than
    `min_points` points is skipped; if none is left, the loss is 0 with gradient 0. Without labels all points
    are one class. A point that is not finite makes the loss NaN, also where its class is skipped. The
    loss inside sees one class at a time and no labels; those that can (`AtOnce`) see all of one size at once.

    `observed` has `classes` (that entered), `classes_skipped` (too small here, or for the loss inside), and
    what the loss inside observed: whole numbers added over the classes, others averaged.

    Labels are read once a call, which waits for the device if they are on it. With a `size` they are not
    read: no shape depends on them, and nothing waits.

    Args:
        loss: a loss of one point cloud; `Gathered` and `Remembered` belong around this, not inside.
        min_points: of a class, at least 1.
        reduction: mean or sum over the classes that entered.
        size: how many points every class of every batch has, as samplers for metric learning draw them; None
            for any. Labels that break this are an error on the CPU, and elsewhere make the loss NaN.

    Raises:
        ValueError: if a setting is out of its range; with a `size`, if labels are not of so many points each.
    """

    def __init__(
        self, loss: Loss, min_points: int = 5, reduction: Reduction = "mean", size: int | None = None
    ) -> None:
        super().__init__(loss)
        check_single_cloud(loss, "PerClass")
        inside = loss.modules() if isinstance(loss, nn.Module) else ()
        for name in (
            type(module).__name__ for module in inside if isinstance(module, (Gathered, Remembered))
        ):
            raise ValueError(
                f"{name} must be outside, {name}(PerClass(...)): inside, ranks that have different classes "
                "would wait for each other, and a memory would mix the classes"
            )
        if min_points < 1:
            raise ValueError(f"min_points must be at least 1, got {min_points}")
        if reduction not in get_args(Reduction):
            raise ValueError(f"reduction must be one of {', '.join(get_args(Reduction))}, got {reduction!r}")
        if size is not None and size < min_points:
            raise ValueError(f"classes of size {size} are all below min_points, {min_points}")
        self.min_points = min_points
        self.reduction = reduction
        self.size = size

    def forward(self, points: Points, labels: Labels | None = None) -> Scalar:
        with full_precision(points) as rows:
            if labels is None or self.size is None:
                return self._mean(rows, _members(rows, labels))
            check_labels(labels, len(rows))
            classes, as_promised = _classes_of_size(labels.to(rows.device), self.size)
            return self._mean(rows, classes) * torch.where(as_promised, 1.0, torch.nan)

    def _mean(self, rows: Points, classes: list[Tensor]) -> Scalar:
        entering = [members for members in classes if len(members) >= self.min_points]
        values, observations = self._at_once(rows, entering) or self._one_by_one(rows, entering)
        self._observe_all(merged(observations), len(entering), len(classes), rows)
        if not entering:
            return zero_loss(rows)
        total = values.sum()
        return spoiled_by_nan(total / len(entering) if self.reduction == "mean" else total, rows)

    def _at_once(self, rows: Points, classes: list[Tensor]) -> tuple[Tensor, list[dict[str, Tensor]]] | None:
        """Return the losses of all classes, those of one size in one call, if the loss inside can do that."""
        if not isinstance(self.loss, AtOnce) or not self.loss.at_once or not classes:
            return None
        of_size: dict[int, list[Tensor]] = {}
        for members in classes:
            of_size.setdefault(len(members), []).append(members)
        values = []
        for size, same in of_size.items():
            clouds = rows.index_select(0, torch.cat(same)).reshape(len(same), size, rows.shape[1])
            values.append(self.loss.of_each(clouds))
        return torch.cat(values), []

    def _one_by_one(self, rows: Points, classes: list[Tensor]) -> tuple[Tensor, list[dict[str, Tensor]]]:
        values, observations = [], []
        for members in classes:
            values.append(self.inner(rows.index_select(0, members), None))
            observations.append(observed_by(self.loss))
        return torch.stack(values) if values else torch.empty(0), observations

    def _observe_all(self, inside: dict[str, Tensor], entered: int, found: int, rows: Tensor) -> None:
        skipped = count(found - entered, rows) + inside.get("classes_skipped", 0)
        self.observed = inside | {"classes": count(entered, rows), "classes_skipped": skipped}

    def extra_repr(self) -> str:
        return f"min_points={self.min_points}, reduction={self.reduction!r}, size={self.size}"


def _members(points: Points, labels: Labels | None) -> list[Tensor]:
    """Return the rows of each class, in the order of the class numbers."""
    if labels is None:
        return [torch.arange(len(points), device=points.device)] if len(points) else []
    check_labels(labels, len(points))
    found = by_class(labels)  # the one wait
    rows = torch.from_numpy(found.rows).to(points.device, non_blocking=True)
    parts = torch.split(rows, found.sizes.tolist()) if len(rows) else ()
    return [part for number, part in zip(found.classes.tolist(), parts, strict=True) if number >= 0]


def _classes_of_size(labels: Labels, size: int) -> tuple[list[Tensor], Tensor]:
    """Return the rows of each class, and whether there are `size` of each, without reading the labels.

    Raises:
        ValueError: if there are not, where a look costs no wait.
    """
    if len(labels) % size:
        raise ValueError(f"{len(labels)} points can not be classes of {size} each")
    ordered, order = labels.sort(stable=True)
    number = ordered.reshape(-1, size)
    first, last = number[:, 0], number[:, -1]
    as_promised = (first == last).all() & (first >= 0).all() & (first[1:] != first[:-1]).all()
    if labels.is_cpu and not torch.compiler.is_compiling() and not bool(as_promised):
        found = ", ".join(f"{count} of {label}" for label, count in Counter(labels.tolist()).most_common(5))
        raise ValueError(
            f"every class has {size} points, and labels are not negative, by the promise of `size`; "
            f"these are {found}, ...; leave `size` out"
        )
    return list(order.reshape(-1, size).unbind()), as_promised
