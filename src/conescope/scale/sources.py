"""Points in files: npy, safetensors, and Parquet with a column of vectors. Nothing is ever unpickled.

An npy file is mapped, so that only what is used is read; the map is copy-on-write and never changes
the file.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import torch

from conescope._optional import require
from conescope._types import Points
from conescope.scale.labels import read_labels
from conescope.scale.npy import load_array
from conescope.scale.parquet import read_parquet

FLOATS = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}  # names in safetensors
LabelList: TypeAlias = list[int] | list[str]
Reader: TypeAlias = Callable[[Path, str | None, str | None], tuple[Points, LabelList | None]]


class LabeledPoints(NamedTuple):
    """One point a row, and one label a point where labels were asked for."""

    points: Points
    labels: LabelList | None = None


def read_points(
    path: str | os.PathLike[str], *, column: str | None = None, labels: str | os.PathLike[str] | None = None
) -> LabeledPoints:
    """Return the points of a file, in the floating point type in which they are stored.

    Args:
        path: a .npy array of shape (n, d), a .safetensors file with such a tensor, or a .parquet file
            with a column of lists.
        column: which tensor or column; not needed where there is only one to choose from.
        labels: the name of a Parquet column or a 1-d tensor of integers or strings; or a file: .npy, or
            .txt with one label a line.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it does not hold points, saying what was found.
        ImportError: if the format needs a package that is not installed.
    """
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"there is no file {file}")
    if not file.is_file():
        raise ValueError(f"points are read from one file, but {file} is a directory")
    if file.suffix.lower() not in READERS:
        raise ValueError(f"points are read from {', '.join(READERS)}, but {file} ends in {file.suffix!r}")
    reader = READERS[file.suffix.lower()]
    points, found = reader(file, column, None if labels is None else os.fspath(labels))
    if labels is not None and found is None:
        found = read_labels(Path(labels))
    if found is not None and len(found) != len(points):
        raise ValueError(f"{labels} holds {len(found)} labels, but {file} holds {len(points)} points")
    return LabeledPoints(points, found)


def _from_npy(file: Path, column: str | None, labels: str | None) -> tuple[Points, None]:
    if column is not None:
        raise ValueError(f"an npy file holds one array and no columns; leave {column!r} out for {file}")
    array = load_array(file)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise ValueError(
            f"points are float16, float32 or float64, but {file} holds {array.dtype} of shape {array.shape}; "
            "convert with array.astype('float32')"
        )
    _check_shape(str(file), array.shape)
    return torch.from_numpy(np.asarray(array, dtype=array.dtype.newbyteorder("="))), None


def _from_safetensors(file: Path, column: str | None, labels: str | None) -> tuple[Points, LabelList | None]:
    require("safetensors", extra="files")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as tensors:
            kinds = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118 (not a dict)
            kinds = {name: (kind.get_dtype(), tuple(kind.get_shape())) for name, kind in kinds.items()}
            points = tensors.get_tensor(_tensor_name(file, kinds, column))
            if labels not in kinds:
                return points, None
            classes = tensors.get_tensor(labels)
    except SafetensorError as broken:
        raise ValueError(f"{file} can not be read as safetensors: {broken}") from None
    if classes.ndim != 1 or classes.is_floating_point():
        raise ValueError(
            f"labels are integers, one a point, but tensor {labels!r} of {file} holds {classes.dtype} "
            f"of shape {tuple(classes.shape)}"
        )
    return points, classes.tolist()


def _tensor_name(file: Path, kinds: dict[str, tuple[str, tuple[int, ...]]], column: str | None) -> str:
    described = ", ".join(f"{name} ({dtype} {shape})" for name, (dtype, shape) in kinds.items()) or "nothing"
    if column is None:
        clouds = [name for name, (dtype, shape) in kinds.items() if dtype in FLOATS and len(shape) == 2]
        if len(clouds) != 1:
            raise ValueError(
                f"{file} needs one floating point tensor of shape (n, d), but has {len(clouds)}; name one as "
                f"column; it holds {described}"
            )
        column = clouds[0]
    if column not in kinds:
        raise ValueError(f"{file} has no tensor {column!r}; it holds {described}")
    dtype, shape = kinds[column]
    if dtype not in FLOATS:
        raise ValueError(
            f"points are {', '.join(FLOATS.values())}, but tensor {column!r} of {file} is {dtype}"
        )
    _check_shape(f"tensor {column!r} of {file}", shape)
    return column


def _from_parquet(file: Path, column: str | None, labels: str | None) -> tuple[Points, LabelList | None]:
    rows, found = read_parquet(file, column, labels)
    return torch.from_numpy(rows), found


def _check_shape(what: str, shape: tuple[int, ...]) -> None:
    """Raise unless the shape is (n, d) with at least one point and one dimension."""
    advice = {
        1: "a single vector is array[None, :]",
        3: "token vectors are pooled first, or each taken as a point: array.reshape(-1, array.shape[-1])",
    }
    if len(shape) != 2:
        hint = f"; {advice[len(shape)]}" if len(shape) in advice else ""
        raise ValueError(f"points have shape (n, d), one point a row, but {what} has shape {shape}{hint}")
    if 0 in shape:
        raise ValueError(f"{what} holds no points: its shape is {shape}")


READERS: dict[str, Reader] = {
    ".npy": _from_npy,
    ".safetensors": _from_safetensors,
    ".parquet": _from_parquet,
}
