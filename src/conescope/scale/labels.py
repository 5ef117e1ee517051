"""Labels: integers or strings, one a point, beside the points or in a file of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conescope.scale.block import LabelList
from conescope.scale.npy import load_array

SUFFIXES = (".npy", ".txt")


def read_labels(file: Path) -> tuple[int, Callable[[int, int], LabelList]]:
    """Return how many labels a .npy or .txt file holds, and a function that gives those of some rows.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds anything but one integer or string a point.
    """
    if not file.exists():
        raise FileNotFoundError(f"there is no file {file} to read labels from")
    if file.suffix.lower() == ".txt":
        lines = _lines(file)
        return len(lines), lambda start, stop: lines[start:stop]
    if file.suffix.lower() == ".npy":
        array = load_array(file)
        check_labels(str(file), array.dtype, array.shape)
        return len(array), lambda start, stop: label_list(str(file), array[start:stop])
    raise ValueError(f"labels are read from .npy, or .txt with one label a line; got {file}")


def check_labels(what: str, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """Raise unless an array of this type and shape can hold labels."""
    if len(shape) != 1 or dtype.kind not in "iubUSTO":
        raise ValueError(
            "labels are a 1-d array of integers or strings, one a point; "
            f"{what} holds {dtype} of shape {shape}"
        )


def check_count(labels: str, count: int, file: Path, rows: int) -> None:
    """Raise unless there is one label a point."""
    if count != rows:
        raise ValueError(f"{labels} holds {count} labels, but {file} holds {rows} points")


def label_list(what: str, array: NDArray[Any]) -> LabelList:
    """Return the labels of an array: integers, truth values, or strings of any kind."""
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    labels: LabelList = array.tolist()
    if array.dtype.kind == "O" and not all(isinstance(label, str) for label in labels):
        raise ValueError(f"labels are integers or strings, but {what} holds other objects")
    return labels


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} must be text in UTF-8, one label a line: {error}") from None
    if lines[-1] == "":
        lines.pop()
    labels = [line.strip() for line in lines]
    if "" in labels:
        raise ValueError(f"{file} has one label a line, but line {labels.index('') + 1} is empty")
    return labels
