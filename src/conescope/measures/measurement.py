"""`conescope.measure`: the table of measures over one embedding space, with what a reader must know.

A number alone misleads: IsoScore gives a cloud in which every cosine is 1.0 a good mark, since it
subtracts the mean, and 20 points in 128 dimensions a bad one, whatever they are. So every undefined
value says why, and the notes name what bends the values of this cloud.
"""

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conescope._check import check_finite, check_labels, check_points
from conescope.measures import MEASURES, Measure, mean_cosine
from conescope.measures.persistent_entropy import bars
from conescope.results import MeasuredValue, Measurement

COLLAPSED = 0.99  # mean cosine above which one direction hides all others
FEW_POINTS = 5


@torch.no_grad()
def measure(
    points: Tensor | NDArray[Any],
    labels: Tensor | NDArray[Any] | Sequence[Hashable] | None = None,
    measures: str | Sequence[str] | None = None,
    *,
    sample: int | None = 4096,
    seed: int = 0,
) -> Measurement:
    """Return the measures of a point cloud, one point a row, as a value that prints and writes itself.

    All is computed in float64 on the device of the points; gradients are cut (the functions in
    `conescope.measures` keep them).

    Args:
        points: floating point, of shape (n, d).
        labels: one a point: integers, or any hashable objects in a sequence.
        measures: names from `conescope.measures.MEASURES`; None takes all, those that need labels only
            with labels.
        sample: measures that look at all pairs take at most this many rows, drawn without replacement;
            None takes all rows. Their note says so.
        seed: of that draw.

    Raises:
        ValueError: for an unknown measure, a row with NaN or infinity, a wrong shape or number of
            labels, or missing labels.
        TypeError: if points are not floating point.

    >>> cross = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> measure(cross, measures=["isoscore", "effective_rank"]).value("effective_rank")
    2.0
    """
    rows = _chosen(measures, labels is not None)
    if sample is not None and sample < 2:
        raise ValueError(f"sample is a number of rows and at least 2, or None for all rows, got {sample}")
    cloud = _as_points(points).double().contiguous()  # one layout, so the same points give the same digits
    classes = None if labels is None else _as_labels(labels, len(cloud)).to(cloud.device)
    part = _sample(cloud, sample, seed)
    drawn = f"on {len(part)} of {len(cloud)} points, seed {seed}" if len(part) < len(cloud) else ""
    lengths = bars(part if any(row.reads == "bars" for row in rows) else part[:0])
    values = []
    for row in rows:
        if row.reads == "bars" and row.finish is not None:
            value = float(row.finish(lengths))
        else:
            value = float(row.function(cloud, classes) if row.needs_labels else row.function(cloud))
        defined, note = not math.isnan(value), drawn if row.reads == "bars" else ""
        values.append(
            MeasuredValue(
                name=row.name,
                value=value + 0.0 if defined else None,  # + 0.0 turns -0.0 into 0.0
                note=note if defined else row.undefined,
            )
        )
    notes = (*_size_notes(cloud), *_place_notes(cloud), *_class_notes(classes))
    return Measurement(n=len(cloud), d=cloud.shape[1], values=tuple(values), notes=notes)


def _chosen(measures: str | Sequence[str] | None, labeled: bool) -> list[Measure]:
    if measures is None:
        return [row for row in MEASURES.values() if labeled or not row.needs_labels]
    names = list(dict.fromkeys([measures] if isinstance(measures, str) else measures))
    unknown = [name for name in names if name not in MEASURES]
    if unknown or not names:
        wanted = f"there is no measure {unknown[0]!r}" if unknown else "no measure is named"
        raise ValueError(f"{wanted}; there are {', '.join(MEASURES)}")
    rows = [MEASURES[name] for name in names]
    for row in rows:
        if row.needs_labels and not labeled:
            raise ValueError(f"{row.name} compares points within classes and needs labels, one a point")
    return rows


def _as_points(points: Tensor | NDArray[Any]) -> Tensor:
    if isinstance(points, np.ndarray):
        if points.dtype.kind != "f" or points.dtype.itemsize > 8:
            raise TypeError(
                f"points must be floating point of at most 64 bits, got an array of {points.dtype}; "
                "convert with points.astype('float32')"
            )
        native = np.ascontiguousarray(points, dtype=points.dtype.newbyteorder("="))
        # torch warns about arrays that it could write to and must not: those are copied
        points = torch.from_numpy(native if native.flags.writeable else native.copy())
    elif not isinstance(points, Tensor):
        raise TypeError(
            f"points must be a torch tensor or a numpy array, got {type(points).__name__}; "
            "convert with numpy.asarray(points, dtype='float32')"
        )
    check_points(points)
    check_finite(points)
    return points.detach()


def _as_labels(labels: Tensor | NDArray[Any] | Sequence[Hashable], count: int) -> Tensor:
    """Return one class number a point, numbered in the order in which classes appear."""
    if isinstance(labels, str):
        raise TypeError(f"labels have one entry a point, got the string {labels!r}")
    if isinstance(labels, Tensor):
        check_labels(labels, count)
        labels = labels.tolist()
    elif isinstance(labels, np.ndarray):
        if labels.dtype.kind == "f" or labels.ndim != 1:
            raise TypeError(
                "labels are a 1-d array of integers or strings, one a point, got "
                f"{labels.dtype} of shape {labels.shape}"
            )
        labels = labels.tolist()
    if len(labels) != count:
        raise ValueError(f"labels have one entry a point: expected {count}, got {len(labels)}")
    numbers: dict[Hashable, int] = {}
    try:
        return torch.tensor([numbers.setdefault(label, len(numbers)) for label in labels], dtype=torch.int64)
    except TypeError as unhashable:
        raise TypeError(f"labels must be hashable, such as integers or strings: {unhashable}") from None


def _sample(points: Tensor, sample: int | None, seed: int) -> Tensor:
    """Return the points, or a draw of `sample` rows, the same on every device."""
    if sample is None or len(points) <= sample:
        return points
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(points), generator=generator)[:sample].sort().values
    return points[rows.to(points.device)]


def _size_notes(points: Tensor) -> list[str]:
    """Return what follows from n and d alone."""
    n, d = points.shape
    if n == 0:
        return ["n = 0: there are no points"]
    notes = []
    if n < FEW_POINTS:
        notes.append(f"n = {n}: too few points to tell a shape; take n well above d = {d}")
    elif n < d:
        notes.append(
            f"n = {n} < d = {d}: covariance-based values read low (isoscore, effective_rank) or high "
            f"(anisotropy); take n well above d, and check that each row is one point"
        )
    if d == 1:
        notes.append("d = 1: there are no directions to compare; check that each row is one point")
    return notes


def _place_notes(points: Tensor) -> list[str]:
    """Return what follows from where the points lie: coincident, repeated, zero, in a narrow cone."""
    n, d = points.shape
    if n < 2:
        return []
    if bool((points == points[0]).all()):
        return ["collapsed: all points coincide"]
    notes = []
    cosine = float(mean_cosine(points))
    if d > 1 and cosine > COLLAPSED:
        mean = points.mean(dim=0)
        spread = torch.linalg.vector_norm(points - mean, dim=1).mean()
        ratio = float(torch.linalg.vector_norm(mean) / spread)
        notes.append(
            f"collapsed: the mean cosine is {cosine:.6f}, so all points lie in nearly one direction, and "
            f"their mean is {ratio:.3g} times as long as their distance from it; centered measures "
            "subtract that direction and can not see this"
        )
    zeros = int((points == 0).all(dim=1).sum())
    if zeros:
        notes.append(f"{zeros} of {n} points are zero and have no direction: left out of mean_cosine")
    repeated = n - len(torch.unique(points, dim=0))
    if repeated:
        notes.append(f"{repeated} of {n} points repeat another one; each adds an H0 bar of length zero")
    return notes


def _class_notes(classes: Tensor | None) -> list[str]:
    if classes is None or len(classes) == 0:
        return []
    sizes = classes.bincount()
    single = int((sizes == 1).sum())
    if not single:
        return []
    return [f"classes with one point, which say nothing within a class: {single} of {len(sizes)}"]
