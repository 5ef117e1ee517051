"""Points in a Parquet file: a column of lists of numbers, and perhaps a column of labels."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conescope._optional import require
from conescope.scale.block import Block
from conescope.scale.cells import check_label_column, cut_cells, vector_column
from conescope.scale.table import Table, described, legible

BUFFER = 1 << 20  # of the bytes of a column, so that a large row group is not held
PIECE = 8 << 20  # bytes unpacked at a time; lists of a batch must not outgrow 32-bit offsets either


@contextmanager
def open_parquet(file: Path, column: str | None, labels: str | None) -> Iterator[Table]:
    """Open the only column of vectors, or the one named. Row groups before the first row are skipped."""
    require("pyarrow", extra="files")
    import pyarrow.parquet as parquet

    with legible(file, "Parquet"):
        source = parquet.ParquetFile(
            file, buffer_size=BUFFER, pre_buffer=False, page_checksum_verification=True
        )
    with source:
        schema = source.schema_arrow
        column = vector_column(file, schema, column)
        labels = labels if labels in schema.names else None
        if labels is not None:
            check_label_column(file, schema, labels)
        columns = [column] if labels is None else [column, labels]
        n = source.metadata.num_rows
        if n == 0:
            raise ValueError(f"column {column!r} of {file} holds no points")
        heights = [source.metadata.row_group(group).num_rows for group in range(source.num_row_groups)]
        head = next(_batches(file, source, columns[:1], range(len(heights)), 1))
        sample = cut_cells(file, head, column, None, 0, None).points
        d = sample.shape[1]
        most = max(PIECE // (8 * d), 1)

        def pieces(start: int, rows: int) -> Iterator[Block]:
            first, group = 0, 0  # the row that the batch begins with, and the row group
            while group < len(heights) and first + heights[group] <= start:
                first += heights[group]
                group += 1
            for batch in _batches(file, source, columns, range(group, len(heights)), min(rows, most)):
                skipped = min(max(start - first, 0), batch.num_rows)
                first += skipped
                rest = batch.slice(skipped)
                if rest.num_rows:
                    yield cut_cells(file, rest, column, labels, first, d)
                first += rest.num_rows

        contents = described({field.name: str(field.type) for field in schema})
        yield Table(n, d, sample.dtype, labels is not None, contents, pieces)


def _batches(file: Path, source: Any, columns: list[str], groups: range, rows: int) -> Iterator[Any]:
    with legible(file, "Parquet"):
        batches = source.iter_batches(rows, row_groups=list(groups), columns=columns)
    while True:
        with legible(file, "Parquet"):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch
