"""Points in JSON lines: an object with a list of numbers a line, or the bare list. Read as float64."""

import json
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from conescope._types import Points
from conescope.scale.block import Block, LabelList
from conescope.scale.choice import choose
from conescope.scale.table import Table, described

PIECE = 1024  # lines that are parsed at a time
BARE = "list"  # what the vectors are called where lines hold nothing else


@contextmanager
def open_json_lines(file: Path, column: str | None, labels: str | None) -> Iterator[Table]:
    """Open the only list of numbers that objects hold, or the one named. Empty lines are no rows."""
    with closing(_lines(file)) as lines:
        head = next(lines, None)
    if head is None:
        raise ValueError(f"{file} is empty")
    sample = _parsed(file, *head)
    if isinstance(sample, list):
        sample = {BARE: sample}
    if not isinstance(sample, dict):
        raise ValueError(f"lines of {file} must hold an object or a list, but line 1 holds {_kind(sample)}")
    vectors = [name for name, value in sample.items() if _numbers(value)]
    contents = {name: _kind(value) for name, value in sample.items()}
    wanted = "list of numbers in an object"
    name = choose(file, column, vectors, contents, kind="key", wanted=wanted)
    d = len(vector(f"{name!r} in row 0 of {file}", sample[name]))
    labels = labels if labels in sample else None
    text = labels is not None and isinstance(sample[labels], str)

    def pieces(start: int, rows: int) -> Iterator[Block]:
        with closing(_lines(file)) as lines:
            held: list[Any] = []
            first = start
            for row, (number, line) in enumerate(lines):
                if row < start:
                    continue
                value = _parsed(file, number, line)
                held.append({BARE: value} if isinstance(value, list) else value)
                if len(held) == min(rows, PIECE):
                    yield _block(file, held, name, labels, text, first, d)
                    first, held = row + 1, []
            if held:
                yield _block(file, held, name, labels, text, first, d)

    yield Table(None, d, torch.float64, labels is not None, described(contents), pieces)


def vector(what: str, value: Any) -> list[Any]:
    """Return a parsed list if it holds nothing but numbers, at least one."""
    if not isinstance(value, list):
        raise ValueError(f"{what} must be a list of numbers, but is {_kind(value)}")
    if None in value:
        raise ValueError(f"{what} has a missing number (null); drop or fill it")
    if not value:
        raise ValueError(f"{what} is an empty vector")
    if not _numbers(value):
        raise ValueError(f"{what} must be a list of numbers, but holds other things")
    return value


def stacked(file: Path, name: str, values: list[Any], first: int, d: int) -> Points:
    """Return parsed lists as points; the first of them is row `first`."""
    rows = np.empty((len(values), d))
    for at, value in enumerate(values):
        what = f"{name!r} in row {first + at} of {file}"
        numbers = vector(what, value)
        if len(numbers) != d:
            raise ValueError(f"{what} has {len(numbers)} numbers, and row 0 has {d}; all must have as many")
        try:
            rows[at] = numbers
        except OverflowError:
            raise ValueError(f"{what} has a number too large for float64") from None
    return torch.from_numpy(rows)


def _block(
    file: Path, held: list[Any], name: str, labels: str | None, text: bool, first: int, d: int
) -> Block:
    for at, line in enumerate(held):
        for key in [name] if labels is None else [name, labels]:
            if not isinstance(line, dict) or key not in line:
                raise ValueError(f"row {first + at} of {file} has no {key!r}")
    points = stacked(file, name, [line[name] for line in held], first, d)
    return Block(points, None if labels is None else _labels(file, labels, text, held, first))


def _labels(file: Path, key: str, text: bool, held: list[Any], first: int) -> LabelList:
    labels: LabelList = [line[key] for line in held]
    for at, label in enumerate(labels):
        if not isinstance(label, str if text else int):
            raise ValueError(
                f"labels are all integers or all strings, but {key!r} in row {first + at} of {file} "
                f"is {_kind(label)}"
            )
    return labels


def _lines(file: Path) -> Generator[tuple[int, bytes], None, None]:
    with file.open("rb") as source:
        for number, line in enumerate(source, start=1):
            if line.strip():
                yield number, line


def _parsed(file: Path, number: int, line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as broken:
        raise ValueError(f"{file} can not be read as JSON lines: line {number}: {broken}") from None


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and set(map(type, value)) <= {int, float}


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "text",
        int: "a number",
        float: "a number",
        bool: "a truth value",
    }
    return names.get(type(value), "null")
