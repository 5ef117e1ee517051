"""Scored pairs of points: two row numbers and a score, from a table in a text file or from an array."""

import csv
import os
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conescope.survey.inputs import Where

Given: TypeAlias = Where | ArrayLike


class Pairs(NamedTuple):
    """Row numbers of the first and the second point of each pair, from 0, and how alike they are."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    scores: NDArray[np.float64]


def as_pairs(given: Given, count: int, partners: int | None = None) -> Pairs:
    """Return pairs among `count` points, or from these to `partners` others, which are counted on from them.

    Args:
        given: a .tsv or .csv file of three columns, with or without a line of names; or an array (m, 3).
        count: how many points there are.
        partners: how many second points there are, if they are kept apart.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the first pair that does not hold two row numbers there are and a finite score.
    """
    if isinstance(given, str | os.PathLike):
        rows, what = _read(Path(given)), f"line {{}} of {os.fspath(given)}"
    else:
        table: NDArray[Any] = np.asarray(given)
        if table.ndim != 2 or table.shape[1] != 3:
            raise ValueError(
                f"pairs have shape (m, 3): two row numbers and a score, got an array of shape {table.shape}"
            )
        rows, what = list(enumerate(table.tolist())), "pair {}"
    others = count if partners is None else partners
    found = [_pair(cells, (count, others), what.format(line)) for line, cells in rows]
    first, second, scores = (np.array(column) for column in zip(*found, strict=True)) if found else [[]] * 3
    shift = 0 if partners is None else count
    return Pairs(
        np.asarray(first, dtype=np.int64),
        np.asarray(second, dtype=np.int64) + shift,
        np.asarray(scores, dtype=np.float64),
    )


def _read(file: Path) -> list[tuple[int, list[str]]]:
    """Return the lines of a table with their numbers, less a line of names."""
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file} to read pairs from")
    delimiter = "," if file.suffix.lower() == ".csv" else "\t"
    with file.open(encoding="utf-8-sig", newline="") as source:
        reader = csv.reader(source, delimiter=delimiter)
        try:
            rows = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
        except (UnicodeDecodeError, csv.Error) as problem:
            raise ValueError(
                f"pairs are a table of text, .tsv or .csv, and {file} is none ({problem})"
            ) from problem
    if rows and len(rows[0][1]) == 3 and not any(map(_is_number, rows[0][1])):
        rows = rows[1:]
    return rows


def _pair(cells: list[Any], counts: tuple[int, int], place: str) -> tuple[int, int, float]:
    advice = "a pair is two row numbers, counted from 0, and a score"
    if len(cells) != 3 or not all(map(_is_number, cells)):
        raise ValueError(f"{advice}; {place} holds {cells!r:.80}")
    for cell, count in zip(cells, counts, strict=False):
        if not float(cell).is_integer() or not 0 <= float(cell) < count:
            raise ValueError(
                f"{advice}; {place} names row {float(cell):g}, and there are rows 0 to {count - 1}"
            )
    return int(float(cells[0])), int(float(cells[1])), float(cells[2])


def _is_number(cell: Any) -> bool:
    try:
        return bool(np.isfinite(float(cell)))
    except (TypeError, ValueError):
        return False
