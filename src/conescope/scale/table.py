"""A table: one file, opened by the reader of its format, whose rows are points."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch

from conescope._types import Points
from conescope.scale.block import BYTES, Block, LabelList

SHOWN = 12  # names that a message lists


@dataclass(frozen=True)
class Table:
    """An open file. `pieces(start, rows)` gives the rows from `start` on, about `rows` at a time."""

    rows: int | None  # None where only reading all of it tells
    d: int
    dtype: torch.dtype
    labeled: bool  # whether the pieces carry labels
    contents: str | None  # what else is in the file, for messages; None for a format without names
    pieces: Callable[[int, int], Iterator[Block]]
    copied: bool = True  # whether a piece takes memory of its own; a part of a mapped file takes none


Opener: TypeAlias = Callable[[Path, str | None, str | None], AbstractContextManager[Table]]


def sliced(
    n: int,
    points: Callable[[int, int], Points],
    labels: Callable[[int, int], LabelList] | None = None,
    *,
    chunk: int = 1,
) -> Callable[[int, int], Iterator[Block]]:
    """Return the `pieces` of a format that reads any rows; cut between stored chunks of `chunk` rows."""

    def pieces(start: int, rows: int) -> Iterator[Block]:
        height = chunk * max(rows // chunk, 1)
        while start < n:
            stop = min(start - start % chunk + height, n)
            yield Block(points(start, stop), None if labels is None else labels(start, stop))
            start = stop

    return pieces


def chunk_rows(chunks: Sequence[int] | None, d: int) -> int:
    """Return how many rows to read together so that no stored chunk is unpacked twice, if memory allows."""
    if chunks is None:
        return 1
    height, width = chunks
    return height if width >= d or 8 * height * d <= BYTES else 1


@contextmanager
def legible(file: Path, kind: str) -> Iterator[None]:
    """Turn whatever another library says of a broken file into one ValueError that names it.

    Only calls of that library stand in the block, so that nothing else is taken for a broken file.
    """
    try:
        yield
    except (PermissionError, MemoryError):
        raise
    except Exception as broken:
        if not file.exists():
            raise
        empty = file.is_file() and file.stat().st_size == 0
        reason = "the file is empty" if empty else (str(broken).strip() or type(broken).__name__)
        raise ValueError(f"{file} can not be read as {kind}: {reason.splitlines()[0]}") from None


def check_shape(what: str, shape: tuple[int, ...]) -> None:
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


def described(contents: Mapping[str, str]) -> str:
    """Return the first names in a file, each with what it holds."""
    shown = [f"{name} ({what})" for name, what in list(contents.items())[:SHOWN]]
    more = [f"and {len(contents) - SHOWN} more"] if len(contents) > SHOWN else []
    return ", ".join(shown + more) or "nothing"
