"""Cells of Arrow columns as points and labels: lists of numbers of one length, integers, strings."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from conescope._types import Points
from conescope.scale.block import Block, LabelList
from conescope.scale.choice import choose


def vector_column(file: Path, schema: Any, column: str | None) -> str:
    """Return the name of the column of vectors: lists, large lists, or lists of a fixed size, of floats."""
    vectors = [field.name for field in schema if _holds_vectors(field.type)]
    contents = {field.name: str(field.type) for field in schema}
    column = choose(file, column, vectors, contents, kind="column", wanted="column of vectors")
    if schema.names.count(column) > 1:
        raise ValueError(f"{file} has {schema.names.count(column)} columns called {column!r}; rename them")
    if column not in vectors:
        raise ValueError(
            f"column {column!r} of {file} holds {schema.field(column).type}, not lists of "
            f"floating point numbers; columns of vectors: {', '.join(vectors) or 'none'}"
        )
    return column


def cut_cells(file: Path, batch: Any, column: str, labels: str | None, first: int, d: int | None) -> Block:
    """Return the rows of a record batch, which begins in row `first`, as points of d dimensions.

    Raises:
        ValueError: naming the row, for null, and for a vector that is not as long as that of row 0.
    """
    points = _vectors(f"column {column!r} of {file}", batch.column(column), first, d)
    if labels is None:
        return Block(points)
    return Block(points, _labels(file, labels, batch.column(labels), first))


def _list_type(kind: Any) -> Any:
    """Return the type of the lists in a column; a tensor of one axis is stored as such a list."""
    return kind.storage_type if len(getattr(kind, "shape", ())) == 1 else kind


def _holds_vectors(kind: Any) -> bool:
    from pyarrow import types

    kind = _list_type(kind)
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(is_list and types.is_floating(kind.value_type))


def _vectors(where: str, cells: Any, first: int, d: int | None) -> Points:
    import pyarrow.compute as compute

    cells = getattr(cells, "storage", cells)
    if cells.null_count:
        absent = cells.is_null().to_numpy(zero_copy_only=False)
        raise ValueError(
            f"{where} has no vector in {_absent(absent, first)}, the first in row {first + absent.argmax()}; "
            "drop these rows"
        )
    lengths = compute.list_value_length(cells).to_numpy()
    expected = lengths[0] if d is None else d
    if expected == 0:
        raise ValueError(f"{where} holds empty vectors")
    if (lengths != expected).any():
        row = (lengths != expected).argmax()
        raise ValueError(
            f"{where} must hold vectors of one length, but row {first + row} has {lengths[row]} numbers "
            f"and row 0 has {expected}"
        )
    numbers = cells.flatten()
    if numbers.null_count:
        row = first + numbers.is_null().to_numpy(zero_copy_only=False).argmax() // expected
        raise ValueError(f"{where} has a missing number (null), the first in row {row}; drop or fill it")
    rows: NDArray[Any] = np.array(numbers.to_numpy(zero_copy_only=False))  # Arrow's own memory is read-only
    return torch.from_numpy(rows.reshape(len(cells), int(expected)))


def check_label_column(file: Path, schema: Any, column: str) -> None:
    """Raise unless a column holds integers, truth values or strings, perhaps encoded by a dictionary."""
    from pyarrow import types

    kind = schema.field(column).type
    plain = kind.value_type if types.is_dictionary(kind) else kind
    kinds = (types.is_integer, types.is_boolean, types.is_string, types.is_large_string)
    if not any(is_kind(plain) for is_kind in kinds):
        raise ValueError(f"labels are integers or strings, but column {column!r} of {file} holds {kind}")


def _labels(file: Path, column: str, cells: Any, first: int) -> LabelList:
    if cells.null_count:
        absent = cells.is_null().to_numpy(zero_copy_only=False)
        raise ValueError(
            f"column {column!r} of {file} has no label in {_absent(absent, first)}, "
            f"the first in row {first + absent.argmax()}"
        )
    labels: LabelList = cells.to_pylist()
    return labels


def _absent(absent: NDArray[np.bool_], first: int) -> str:
    where = f" from row {first} on" if first else ""
    return f"{absent.sum()} of {len(absent)} rows{where} (null)"
