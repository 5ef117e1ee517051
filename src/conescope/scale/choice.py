"""Which column, tensor or array of a file holds the points."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from conescope.scale.table import check_shape, described

LIKELY = re.compile("emb|vec", re.IGNORECASE)


def choose(
    file: Path,
    column: str | None,
    vectors: Sequence[str],
    contents: Mapping[str, str],
    *,
    kind: str,
    wanted: str,
) -> str:
    """Return the name of the column to read.

    Without a name: the only one that can hold points, or else the only one of them called like
    embeddings or vectors (`emb` or `vec` in the name).

    Args:
        file: for messages.
        column: the name the user gave.
        vectors: names of what can hold points.
        contents: all names, each with what it holds.
        kind: column, tensor, ...
        wanted: the kind with what must hold of it.
    """
    if column is not None:
        if column not in contents and column not in vectors:
            raise ValueError(f"{file} has no {kind} {column!r}; it holds {described(contents)}")
        return column
    likely = vectors if len(vectors) == 1 else [name for name in vectors if LIKELY.search(name)]
    if len(likely) == 1:
        return likely[0]
    found = f"{len(vectors)} of them: {', '.join(vectors)}; name one as column" if vectors else "none"
    raise ValueError(f"{file} needs one {wanted}, but has {found}; it holds {described(contents)}")


class Slot(NamedTuple):
    """One array in a file that may hold several."""

    dtype: str
    shape: tuple[int, ...]
    floating: bool


def is_floating(dtype: np.dtype) -> bool:
    """Return whether torch has this floating point type."""
    return dtype.kind == "f" and dtype.itemsize <= 8


def choose_array(file: Path, column: str | None, slots: Mapping[str, Slot], *, kind: str) -> str:
    """Return the name of the array of points, which is of floating point and of shape (n, d)."""
    contents = {name: f"{slot.dtype} {slot.shape}" for name, slot in slots.items()}
    clouds = [name for name, slot in slots.items() if slot.floating and len(slot.shape) == 2]
    name = choose(file, column, clouds, contents, kind=kind, wanted=f"floating point {kind} of shape (n, d)")
    if not slots[name].floating:
        raise ValueError(
            f"points are float16, bfloat16, float32 or float64, but {kind} {name!r} of {file} is "
            f"{slots[name].dtype}; convert with array.astype('float32')"
        )
    check_shape(f"{kind} {name!r} of {file}", slots[name].shape)
    return name
