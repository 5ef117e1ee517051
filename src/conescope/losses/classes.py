"""The points of a batch by class."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int64
from numpy.typing import NDArray
from torch import Tensor

from conescope._types import Labels


class Sorted(NamedTuple):
    """Rows by class, each class in its order."""

    rows: NDArray[np.int64]  # of all points, class by class
    classes: NDArray[np.int64]  # the numbers of the classes, ascending: those below zero mean no class
    starts: NDArray[np.int64]  # of each class among the rows
    sizes: NDArray[np.int64]


def by_class(labels: Labels) -> Sorted:
    """Return the rows by class, on the host: the one wait for an accelerator.

    NumPy does it in a fraction of the time of torch, whose calls take longer than what they do to labels.

    >>> found = by_class(torch.tensor([7, -100, 7, 3]))
    >>> found.rows.tolist(), found.classes.tolist(), found.sizes.tolist()
    ([1, 3, 0, 2], [-100, 3, 7], [1, 1, 2])
    """
    numbers = labels.detach().cpu().numpy()
    rows = numbers.argsort(kind="stable")
    ordered = numbers[rows]
    begins = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=begins[1:])
    (starts,) = begins.nonzero()
    ends = np.empty_like(starts)
    ends[:-1], ends[-1:] = starts[1:], len(rows)
    return Sorted(rows, ordered[starts], starts, ends - starts)


class Members(NamedTuple):
    """The rows of the classes that are large enough, side by side."""

    rows: Int64[Tensor, "classes m"]  # padded with any
    present: Bool[Tensor, "classes m"] | None  # which of them there are, None for all
    points: int  # in these classes
    skipped: int  # classes that are too small


def members_of_classes(labels: Labels, min_points: int, device: torch.device) -> Members:
    """Return the rows of each class of at least `min_points` points; negative labels mean no class.

    The rows are for points on the device. Labels may be elsewhere: for those on the host nothing waits.
    """
    found = by_class(labels)
    labelled = found.classes >= 0
    enters = labelled & (found.sizes >= min_points)
    sizes = found.sizes[enters]
    largest, points = int(sizes.max(initial=0)), int(sizes.sum())
    rank = np.arange(largest)
    at = np.minimum(found.starts[enters][:, None] + rank, len(found.rows) - 1)
    rows = torch.from_numpy(found.rows[at]).to(device, non_blocking=True)
    present = None
    if points < rows.numel():
        present = torch.from_numpy(rank < sizes[:, None]).to(device, non_blocking=True)
    return Members(rows, present, points, int(labelled.sum()) - len(sizes))


def everyone(count: int, min_points: int, device: torch.device) -> Members:
    """Return the members of the one class that all points are, without a wait."""
    enters = count > 0 and count >= min_points
    rows = torch.arange(count, device=device).expand(int(enters), count)
    return Members(rows, None, count * enters, int(0 < count < min_points))


class Kinds(NamedTuple):
    """The class of each point by a number, from labels that are not read: all of it is on their device."""

    numbers: Int64[Tensor, " n"]  # 0, 1, ... by ascending label; `most` for points whose class does not enter
    most: int  # classes that there may be
    points: Int64[Tensor, ""]  # in the classes that enter
    classes: Int64[Tensor, ""]  # that enter
    skipped: Int64[Tensor, ""]  # that are too small


def kinds_of_classes(labels: Labels, min_points: int) -> Kinds:
    """Return the classes of at least `min_points` points; negative labels mean no class.

    No shape depends on the labels, and nothing waits for an accelerator.

    >>> kinds_of_classes(torch.tensor([7, -100, 7, 3, 9, 9]), min_points=2).numbers
    tensor([0, 3, 0, 3, 1, 1])
    """
    most = len(labels) // min_points
    ordered, order = labels.sort(stable=True)
    begins = torch.ones_like(ordered, dtype=torch.bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    number = begins.cumsum(0) - 1
    sizes = torch.zeros_like(number).scatter_add(0, number, torch.ones_like(number))
    labelled = ordered >= 0
    enters = labelled & (sizes.gather(0, number) >= min_points)
    rank = torch.where(enters, (begins & enters).cumsum(0) - 1, most)
    numbers = torch.empty_like(rank).scatter(0, order, rank)
    skipped = (begins & labelled & ~enters).sum()
    return Kinds(numbers, most, enters.sum(), (begins & enters).sum(), skipped)
