"""Points in an Arrow file (also called Feather) or stream: a column of lists of numbers, perhaps labels."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conescope._optional import require
from conescope.scale.block import Block
from conescope.scale.cells import check_label_column, cut_cells, vector_column
from conescope.scale.table import Table, described, legible

MAGIC = b"ARROW1"  # what a file begins with, and a stream does not


@contextmanager
def open_ipc(file: Path, column: str | None, labels: str | None) -> Iterator[Table]:
    """Open the only column of vectors, or the one named. How many rows there are only a file tells."""
    require("pyarrow", extra="files")
    with file.open("rb") as source:
        is_file = source.read(len(MAGIC)) == MAGIC
    with legible(file, "Arrow"), _reader(file, is_file, None) as reader:
        schema = reader.schema
    column = vector_column(file, schema, column)
    labels = labels if labels in schema.names else None
    if labels is not None:
        check_label_column(file, schema, labels)
    columns = [column] if labels is None else [column, labels]
    n = _count(file) if is_file else None
    batches = _batches(file, is_file, columns, schema)
    head = next((batch.slice(0, 1) for batch in batches if batch.num_rows), None)
    batches.close()
    if head is None:
        raise ValueError(f"column {column!r} of {file} holds no points")
    sample = cut_cells(file, head, column, None, 0, None).points
    d = sample.shape[1]

    def pieces(start: int, rows: int) -> Iterator[Block]:
        first = 0  # the row that the batch begins with
        for batch in _batches(file, is_file, columns, schema):
            for at in range(max(start - first, 0), batch.num_rows, rows):
                yield cut_cells(file, batch.slice(at, rows), column, labels, first + at, d)
            first += batch.num_rows

    contents = described({field.name: str(field.type) for field in schema})
    yield Table(n, d, sample.dtype, labels is not None, contents, pieces)


@contextmanager
def _reader(file: Path, is_file: bool, fields: list[int] | None) -> Iterator[Any]:
    """Open a file or stream, of which only some columns are unpacked."""
    import pyarrow as arrow

    options = arrow.ipc.IpcReadOptions(included_fields=fields)
    with arrow.memory_map(str(file)) as source:
        start = arrow.ipc.open_file if is_file else arrow.ipc.open_stream
        with start(source, options=options) as reader:
            yield reader


def _batches(file: Path, is_file: bool, columns: list[str], schema: Any) -> Generator[Any, None, None]:
    with _reader(file, is_file, [schema.get_field_index(name) for name in columns]) as reader:
        count = reader.num_record_batches if is_file else None
        index = 0
        while count is None or index < count:
            with legible(file, "Arrow"):
                batch = _next(reader) if count is None else reader.get_batch(index)
                if batch is not None:
                    batch.validate(full=True)  # offsets that lead out of a damaged file would crash
            if batch is None:
                return
            yield batch
            index += 1


def _next(reader: Any) -> Any:
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def _count(file: Path) -> int:
    """Return the rows of an Arrow file, from the headers of its batches."""
    import pyarrow.dataset as dataset

    with legible(file, "Arrow"):
        count: int = dataset.dataset(str(file), format="ipc").count_rows()
    return count
