"""A table of a CSV file: its columns by name, its numbers, and the rows that lack one."""

import csv
import math
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conescope.results.prediction import LeftOut

NAMES = ("model", "name", "")  # columns that may hold the names of rows; "" is what data frames write
MISSING = ("", "nan", "na", "n/a", "none", "null")


class Columns(NamedTuple):
    """Columns of text, all of one length, by name; `names` are those of the rows."""

    source: str
    names: tuple[str, ...]
    cells: dict[str, tuple[str, ...]]

    def column(self, name: str) -> tuple[str, ...]:
        """Return a column of text.

        Raises:
            ValueError: naming the columns there are.
        """
        if name not in self.cells:
            near = get_close_matches(name, self.cells, n=1)
            hint = f", such as {near[0]!r}" if near else ""
            known = ", ".join(map(repr, self.cells))
            raise ValueError(f"{self.source} has no column {name!r}: name one that it has{hint}, of {known}")
        return self.cells[name]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column of numbers, shape (rows,), with NaN where a cell is empty.

        Raises:
            ValueError: naming the first cell that is neither a number nor empty.
        """
        return np.array([self._number(name, *row) for row in zip(self.names, self.column(name), strict=True)])

    def _number(self, column: str, row: str, cell: str) -> float:
        if cell.strip().lower() in MISSING:
            return math.nan
        try:
            return float(cell)
        except ValueError:
            raise ValueError(
                f"column {column!r} of {self.source} must hold numbers, but {row} has {cell!r}: correct it, "
                "or leave the cell empty"
            ) from None


def read_columns(path: str | Path) -> Columns:
    """Return the table in a CSV file with a line of headings.

    Rows are named by the column "model", "name" or, as data frames write it, one without a heading; else by
    their number, from 1.

    Raises:
        ValueError: for a file without rows, headings that repeat, or a row longer or shorter than those.
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        try:
            lines = [(reader.line_num, line) for line in reader if line]
        except (csv.Error, UnicodeDecodeError) as problem:
            raise ValueError(f"{path} must be a CSV file in UTF-8, but: {problem}") from problem
    if len(lines) < 2:
        raise ValueError(f"{path} must hold a line of headings and rows below it, but has {len(lines)} lines")
    heads = lines[0][1]
    twice = sorted({head for head in heads if heads.count(head) > 1})
    if twice:
        raise ValueError(f"headings of {path} must differ, but {twice[0]!r} stands there twice: rename one")
    for number, line in lines[1:]:
        if len(line) != len(heads):
            raise ValueError(
                f"line {number} of {path} must have {len(heads)} cells as its headings do, but has "
                f"{len(line)}: quote cells that hold a comma"
            )
    cells = dict(zip(heads, zip(*(line for _, line in lines[1:]), strict=True), strict=True))
    named = next((cells[head] for head in NAMES if head in cells), None)
    return Columns(str(path), named or tuple(f"row {n}" for n in range(1, len(lines))), cells)


def complete(
    table: Columns, numbers: Sequence[str], texts: Sequence[str] = ()
) -> tuple[NDArray[np.int64], tuple[LeftOut, ...]]:
    """Return the numbers of the rows that have all that is needed, and the others with what they lack.

    An infinite number counts as missing: no regression can use it.
    """
    lacks: list[list[str]] = [[] for _ in table.names]
    for name in numbers:
        for row, value in enumerate(table.numbers(name)):
            if not math.isfinite(value):
                lacks[row].append(f"{name} is {'missing' if math.isnan(value) else 'infinite'}")
    for name in texts:
        for row, cell in enumerate(table.column(name)):
            if not cell.strip():
                lacks[row].append(f"{name} is missing")
    kept = np.array([row for row, lack in enumerate(lacks) if not lack], dtype=np.int64)
    out = (LeftOut(name=table.names[row], why=", ".join(lack)) for row, lack in enumerate(lacks) if lack)
    return kept, tuple(out)
