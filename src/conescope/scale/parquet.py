"""Points in a Parquet file: a column of lists of numbers, and perhaps a column of labels."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conescope._optional import require


def read_parquet(
    file: Path, column: str | None, labels: str | None
) -> tuple[NDArray[Any], list[int] | list[str] | None]:
    """Return the vectors of a column as an array (n, d), and the labels of another one if it has that name.

    Raises:
        ValueError: if there is no such column, or it does not hold vectors of one length.
    """
    require("pyarrow", extra="files")
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    try:
        source = parquet.ParquetFile(file)
    except arrow.ArrowInvalid as broken:
        raise ValueError(f"{file} can not be read as Parquet: {broken}") from None
    with source:
        schema = source.schema_arrow
        column = _vector_column(file, schema, column)
        if labels is not None and labels not in schema.names:
            if not Path(labels).exists():
                raise ValueError(
                    f"{file} has no column {labels!r} to take labels from, and there is no "
                    f"such file; its columns are {', '.join(schema.names)}"
                )
            labels = None
        table = source.read(columns=[column] if labels is None else [column, labels])
    points = _vectors(file, column, table.column(column))
    return points, None if labels is None else _labels(file, labels, table.column(labels))


def _vector_column(file: Path, schema: Any, column: str | None) -> str:
    vectors: list[str] = [field.name for field in schema if _holds_vectors(field.type)]
    if column is None:
        if len(vectors) == 1:
            return vectors[0]
        found = f"{len(vectors)} of them: {', '.join(vectors)}" if vectors else "none"
        raise ValueError(
            f"{file} needs one column of vectors, but has {found}; "
            + ("name one as column" if vectors else f"its columns are {_described(schema)}")
        )
    if column not in schema.names:
        raise ValueError(f"{file} has no column {column!r}; its columns are {_described(schema)}")
    if column not in vectors:
        raise ValueError(
            f"column {column!r} of {file} holds {schema.field(column).type}, not lists of "
            f"floating point numbers; columns of vectors: {', '.join(vectors) or 'none'}"
        )
    return column


def _holds_vectors(kind: Any) -> bool:
    from pyarrow import types

    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(is_list and types.is_floating(kind.value_type))


def _described(schema: Any) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)


def _vectors(file: Path, column: str, cells: Any) -> NDArray[Any]:
    """Return the lists of a column as the rows of an array, which must be of one length and complete."""
    if len(cells) == 0:
        raise ValueError(f"column {column!r} of {file} holds no points")
    import pyarrow.compute as compute

    where = f"column {column!r} of {file}"
    absent = cells.is_null().to_numpy()
    if absent.any():
        raise ValueError(
            f"{where} has no vector in {absent.sum()} of {len(absent)} rows (null), "
            f"the first in row {absent.argmax()}; drop these rows"
        )
    lengths = compute.list_value_length(cells).to_numpy()
    if (lengths != lengths[0]).any():
        row = (lengths != lengths[0]).argmax()
        raise ValueError(
            f"{where} must hold vectors of one length, but row {row} has {lengths[row]} numbers "
            f"and row 0 has {lengths[0]}"
        )
    if lengths[0] == 0:
        raise ValueError(f"{where} holds empty vectors")
    chunks = [chunk.flatten() for chunk in cells.chunks]
    rows = np.concatenate([chunk.to_numpy(zero_copy_only=False) for chunk in chunks]).reshape(len(cells), -1)
    if any(chunk.null_count for chunk in chunks):
        missing = np.concatenate([chunk.is_null().to_numpy(zero_copy_only=False) for chunk in chunks])
        row = missing.argmax() // lengths[0]
        raise ValueError(f"{where} has a missing number (null), the first in row {row}; drop or fill it")
    return rows


def _labels(file: Path, column: str, cells: Any) -> list[int] | list[str]:
    from pyarrow import types

    kind = cells.type.value_type if types.is_dictionary(cells.type) else cells.type
    plain = (
        types.is_integer(kind)
        or types.is_boolean(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
    )
    if not plain:
        raise ValueError(
            f"labels are integers or strings, but column {column!r} of {file} holds {cells.type}"
        )
    absent = cells.is_null().to_numpy()
    if absent.any():
        raise ValueError(
            f"column {column!r} of {file} has no label in {absent.sum()} of {len(absent)} rows "
            f"(null), the first in row {absent.argmax()}"
        )
    labels: list[int] | list[str] = cells.to_pylist()
    return labels
