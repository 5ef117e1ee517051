"""Points, labels and partners as users hand them in, made ready or refused with what to do."""

import os
from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conescope._check import check_finite, check_labels, check_points
from conescope._types import Points
from conescope.scale import read_points

Cloud: TypeAlias = Tensor | NDArray[Any]
Where: TypeAlias = str | os.PathLike[str]
Classes: TypeAlias = Tensor | NDArray[Any] | Sequence[Hashable]

COMPLEX = "take one part of it, or both side by side: concatenate points.real and points.imag along axis 1"


def as_points(points: Cloud) -> Points:
    """Return a tensor of finite floating point numbers, without gradient and without a copy if possible."""
    if isinstance(points, np.ndarray):
        points = _as_tensor(points)
    elif not isinstance(points, Tensor):
        raise TypeError(
            f"points must be a torch tensor or a numpy array, got {type(points).__name__}; "
            "convert with numpy.asarray(points, dtype='float32')"
        )
    if points.is_complex():
        raise TypeError(f"points must be real, got {points.dtype}; {COMPLEX}")
    if points.layout != torch.strided:
        raise TypeError(f"points must be dense, got {points.layout}; convert with points.to_dense()")
    check_points(points)
    if points.element_size() < 2:
        raise TypeError(f"points must have 16 to 64 bits, got {points.dtype}; convert with points.float()")
    check_finite(points)
    return points.detach()


def _as_tensor(array: NDArray[Any]) -> Tensor:
    if array.dtype.kind == "c":
        raise TypeError(f"points must be real, got an array of {array.dtype}; {COMPLEX}")
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise TypeError(
            f"points must be floating point of at most 64 bits, got an array of {array.dtype}; "
            "convert with points.astype('float32')"
        )
    if np.ma.is_masked(array):
        raise TypeError("points must all be there, got a masked array; drop the rows that are masked")
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    # torch warns about arrays that it could write to and must not: those are copied
    return torch.from_numpy(native if native.flags.writeable else native.copy())


def as_labels(labels: Classes, count: int) -> Tensor:
    """Return one class number a point, numbered in the order in which classes appear."""
    if isinstance(labels, str | os.PathLike):
        raise TypeError(f"labels of points in memory have one entry a point, got {os.fspath(labels)!r}")
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


def as_partners(partners: Cloud | Where, cloud: Points) -> Points:
    """Return as many partners as there are points, on the same device."""
    if isinstance(partners, str | os.PathLike):
        partners = read_points(partners).points
    try:
        found = as_points(partners).to(cloud.device)
    except (TypeError, ValueError) as problem:
        raise type(problem)(f"partners: {problem}") from None
    if found.shape != cloud.shape:
        raise ValueError(
            f"partners have the shape of the points, one a point: expected {tuple(cloud.shape)}, "
            f"got {tuple(found.shape)}"
        )
    return found


def pairs_of_files(
    points: Where | Sequence[Where], partners: Cloud | Where, column: str | None
) -> tuple[Points, Points]:
    """Return all points of some files, and their partners."""
    cloud = as_points(read_points(points, column=column).points)
    return cloud, as_partners(partners, cloud)
