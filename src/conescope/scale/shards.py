"""Shards: points in one file or many, of any format, read as a stream of blocks.

| suffix | points | memory |
| --- | --- | --- |
| .npy | the array | mapped, a block at a time |
| .npz | an array | that whole array |
| .safetensors | a tensor | a block |
| .h5 .hdf5 | a dataset | a block, or a stored chunk if it is larger |
| .zarr (a folder) .zarr.zip | an array | a block, or a stored chunk if it is larger |
| .parquet .pq | a column of lists | a block and a page |
| .arrow .feather .ipc | a column of lists | a block and a record batch |
| .csv .tsv | numbered columns, all numeric columns, or a column of JSON lists | a block |
| .jsonl .ndjson | objects with a list, or bare lists | a block |

Nothing is ever unpickled.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from conescope._check import check_points
from conescope._types import Points
from conescope.scale.block import BYTES, UNCOPIED, Block, LabelList, recut
from conescope.scale.delimited import open_delimited
from conescope.scale.found import Where, found, is_store
from conescope.scale.hdf5 import open_hdf5
from conescope.scale.ipc import open_ipc
from conescope.scale.json_lines import open_json_lines
from conescope.scale.labels import SUFFIXES, check_count, read_labels
from conescope.scale.npy import open_npy
from conescope.scale.npz import open_npz
from conescope.scale.parquet import open_parquet
from conescope.scale.table import Opener, Table, sliced
from conescope.scale.tensors import open_tensors
from conescope.scale.zarr_arrays import open_zarr

FORMATS: dict[str, Opener] = {
    ".npy": open_npy,
    ".npz": open_npz,
    ".safetensors": open_tensors,
    ".parquet": open_parquet,
    ".pq": open_parquet,
    ".arrow": open_ipc,
    ".feather": open_ipc,
    ".ipc": open_ipc,
    ".h5": open_hdf5,
    ".hdf5": open_hdf5,
    ".zarr": open_zarr,
    ".zarr.zip": open_zarr,
    ".csv": open_delimited,
    ".tsv": open_delimited,
    ".jsonl": open_json_lines,
    ".ndjson": open_json_lines,
}


@dataclass(frozen=True)
class Shard:
    """One file, or one array in memory. It is cheap to make: nothing is opened until it is used."""

    name: str  # what messages and states call it
    path: Path
    column: str | None = None
    labels: str | None = None  # a column of the file, or a file
    memory: Block | None = field(default=None, repr=False, compare=False)

    def shape(self) -> tuple[int | None, int]:
        """Return the number of rows, and of dimensions, from the head of the file.

        Rows are None where only reading all tells: CSV, JSON lines, and streams of Arrow.

        Raises:
            FileNotFoundError: if the file is gone.
            ValueError: if it does not hold points, saying what was found.
            ImportError: if the format needs a package that is not installed.
        """
        with self._open() as table:
            return table.rows, table.d

    def blocks(self, start: int = 0, rows: int | None = None) -> Iterator[Block]:
        """Yield the rows from `start` on, in blocks of `rows`, or of about 128 MiB; the last one is shorter.

        Blocks of a mapped file and of points in memory, which are not copied, are of about 256 MiB.

        The file is closed at the end, after an exception, and when the iterator is dropped.

        Raises:
            ValueError: also where a row is broken, naming it, when the block with it is reached.
        """
        if start < 0 or (rows is not None and rows < 1):
            raise ValueError(f"blocks have at least one row and begin at 0 or later, got {rows} from {start}")
        return self._blocks(start, rows)

    def _blocks(self, start: int, rows: int | None) -> Iterator[Block]:
        with self._open() as table:
            if table.rows is not None and start > table.rows:
                raise ValueError(_beyond(self.name, start, table.rows))
            size = BYTES if table.copied else UNCOPIED
            rows = rows or max(size // (table.d * table.dtype.itemsize), 1)
            end = start
            for block in recut(table.pieces(start, rows), rows):
                yield block
                end += len(block.points)
        if table.rows is None and start and end == start:
            self._check_start(start)

    def _check_start(self, start: int) -> None:
        """Raise if a file that does not tell its rows has fewer than were asked to be skipped."""
        with self._open() as table:
            count = sum(len(piece.points) for piece in table.pieces(0, start))
        if count < start:
            raise ValueError(_beyond(self.name, start, count))

    @contextmanager
    def _open(self) -> Iterator[Table]:
        if self.memory is not None:
            yield _table(self.memory)
            return
        if not self.path.exists():
            raise FileNotFoundError(f"there is no file {self.path}")
        with opener(self.path)(self.path, self.column, self.labels) as table:
            yield table if self.labels is None or table.labeled else self._labeled(table, self.labels)

    def _labeled(self, table: Table, labels: str) -> Table:
        """Return the table with labels from a file of their own."""
        if table.contents is not None and not Path(labels).exists():
            raise ValueError(
                f"{self.path} has no column {labels!r} to take labels from, and there is no such file; "
                f"it holds {table.contents}"
            )
        count, some = read_labels(Path(labels))
        if table.rows is not None:
            check_count(labels, count, self.path, table.rows)

        def pieces(start: int, rows: int) -> Iterator[Block]:
            end = start
            for piece in table.pieces(start, rows):
                first, end = end, end + len(piece.points)
                if end > count:
                    raise ValueError(f"{labels} holds {count} labels, but {self.path} holds more points")
                yield Block(piece.points, some(first, end))
            check_count(labels, count, self.path, end)

        return replace(table, labeled=True, pieces=pieces)


def open_shards(
    where: Where | Sequence[Where], *, column: str | None = None, labels: Where | None = None
) -> list[Shard]:
    """Return the shards of a file, a folder, a glob pattern, or a sequence of these, sorted by name.

    Of a folder, all files below it whose suffix is known; others are passed over. No file is opened: a
    broken one raises when it is read.

    Args:
        where: a path that exists is taken as it is, also if it has the looks of a pattern.
        column: the column, tensor or array with the points. It can be left out where only one of them
            holds vectors, or where only one of those that do is called like it: `emb` or `vec` in the name.
        labels: the name of a column, tensor or array in each file; or, for a single shard, a file: .npy, or
            .txt with one label a line.

    Raises:
        FileNotFoundError: if nothing is there.
        ValueError: if what is there has no known suffix.
    """
    classes = None if labels is None else os.fspath(labels)
    besides = Path(classes) if classes is not None and Path(classes).suffix.lower() in SUFFIXES else None
    files = found(where, list(FORMATS), besides)
    for _, file in files:
        opener(file)
    if len(files) > 1 and besides is not None and besides.is_file():
        raise ValueError(
            f"a file of labels goes with one file of points, but there are {len(files)}; "
            "put the labels into the files, and give the name of their column"
        )
    return [Shard(name, file, column, classes) for name, file in files]


def shard_of(points: Points, labels: LabelList | None = None, *, name: str = "points") -> Shard:
    """Return points in memory as a shard; its blocks are views of them."""
    check_points(points)
    if labels is not None and len(labels) != len(points):
        raise ValueError(f"there are {len(labels)} labels, but {len(points)} points")
    return Shard(name, Path(name), memory=Block(points, labels))


def opener(file: Path) -> Opener:
    """Return what opens a file of this suffix, the longest that fits."""
    if is_store(file):
        return open_zarr
    fitting = [suffix for suffix in FORMATS if file.name.lower().endswith(suffix)]
    if not fitting:
        raise ValueError(f"points are read from {', '.join(FORMATS)}, but {file} ends in {file.suffix!r}")
    return FORMATS[max(fitting, key=len)]


def _table(memory: Block) -> Table:
    points, labels = memory
    take = None if labels is None else lambda start, stop: labels[start:stop]
    pieces = sliced(len(points), lambda start, stop: points[start:stop], take)
    return Table(len(points), points.shape[1], points.dtype, labels is not None, None, pieces, copied=False)


def _beyond(name: str, start: int, rows: int) -> str:
    return f"{name} has {rows} rows, and can not be read from row {start} on; did the file change?"
