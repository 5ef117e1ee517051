"""Labels in a file of their own: an npy array of integers or strings, or text with one label a line."""

from pathlib import Path

import numpy as np

from conescope.scale.npy import load_array


def read_labels(file: Path) -> list[int] | list[str]:
    """Return the labels of a .npy or .txt file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds anything but one integer or string a point.
    """
    if not file.exists():
        raise FileNotFoundError(f"there is no file {file} to read labels from")
    if file.suffix.lower() == ".txt":
        return _lines(file)
    if file.suffix.lower() == ".npy":
        return _entries(file)
    raise ValueError(f"labels are read from .npy, or .txt with one label a line; got {file}")


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


def _entries(file: Path) -> list[int] | list[str]:
    array = load_array(file)
    if array.ndim != 1 or array.dtype.kind not in "iubUS":
        raise ValueError(
            f"labels are a 1-d array of integers or strings, one a point; "
            f"{file} holds {array.dtype} of shape {array.shape}"
        )
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    labels: list[int] | list[str] = array.tolist()
    return labels
