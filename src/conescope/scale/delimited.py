"""Points in CSV or TSV: a column for each coordinate, or one column of JSON lists. Read as float64."""

import csv
import json
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from conescope._optional import require
from conescope._types import Points
from conescope.scale.block import Block
from conescope.scale.choice import choose
from conescope.scale.json_lines import stacked
from conescope.scale.table import Table, described, legible

BYTES = 16 << 20  # of text parsed at a time; a row must fit in
MIXED = "numbers and text"  # most likely of coordinates that are missing here and there
UNCLEAR = {"int64": "whole numbers", MIXED: MIXED, "null": "nothing at its beginning"}


@dataclass(frozen=True)
class _Layout:
    """What the head of a file says: names and types of its columns, and whether it has a line of names."""

    file: Path
    kinds: dict[str, str]
    first: dict[str, Any]  # the values of row 0
    headed: bool

    @property
    def kind(self) -> str:
        return "TSV" if self.file.suffix.lower() == ".tsv" else "CSV"


@contextmanager
def open_delimited(file: Path, column: str | None, labels: str | None) -> Iterator[Table]:
    """Open columns of coordinates, in the order of the file, or a column of JSON lists.

    Coordinates are the columns numbered like e0, e1, ...; `column` is what stands before the number, or
    the name of a column of lists. In a file without either, they are all columns of decimal numbers but the
    labels; whole numbers, which may well be ids, and numbers mixed with text are refused there. A first line
    of nothing but numbers is taken for a point, unless they count 0, 1, 2, ... Labels are strings, since
    text knows no types.
    """
    require("pyarrow", extra="files")
    layout = _layout(file)
    if not layout.first:
        raise ValueError(f"{file} holds no points: it has a line of names and no other")
    if labels not in layout.kinds:
        labels = None
    names = _coordinates(layout, column, labels)
    lists = layout.kinds[names[0]] == "list"
    d = stacked_lists(layout, names[0], [layout.first[names[0]]], 0, None).shape[1] if lists else len(names)

    def pieces(start: int, rows: int) -> Iterator[Block]:
        first = 0
        for batch in _batches(layout, names, labels, lists):
            for at in range(max(start - first, 0), batch.num_rows, rows):
                part = batch.slice(at, rows)
                if lists:
                    points = stacked_lists(layout, names[0], part.column(names[0]).to_pylist(), first + at, d)
                else:
                    points = _columns(layout, part, names, first + at)
                yield Block(points, None if labels is None else _labels(file, labels, part, first + at))
            first += batch.num_rows

    yield Table(None, d, torch.float64, labels is not None, described(layout.kinds), pieces)


def stacked_lists(layout: _Layout, name: str, cells: list[str], first: int, d: int | None) -> Points:
    """Return cells of JSON lists as points."""
    values = []
    for at, cell in enumerate(cells):
        try:
            values.append(json.loads(cell))
        except (ValueError, TypeError, RecursionError):
            raise ValueError(
                f"{name!r} in row {first + at} of {layout.file} must be a list as in JSON, [0.1, 0.2], "
                f"but is {str(cell)[:40]!r}"
            ) from None
    if d is None:
        d = len(values[0]) if isinstance(values[0], list) and values[0] else 1
    return stacked(layout.file, name, values, first, d)


def _columns(layout: _Layout, part: Any, names: list[str], first: int) -> Points:
    for name in names:
        if part.column(name).null_count:
            absent = part.column(name).is_null().to_numpy(zero_copy_only=False)
            row = first + absent.argmax()
            raise ValueError(f"row {row} of {layout.file} has no number in column {name!r}; drop or fill it")
    return torch.from_numpy(np.stack([part.column(name).to_numpy() for name in names], axis=1))


def _labels(file: Path, name: str, part: Any, first: int) -> list[str]:
    labels: list[str] = part.column(name).to_pylist()
    for at, label in enumerate(labels):
        if not label:
            raise ValueError(f"row {first + at} of {file} has no label in column {name!r}")
    return labels


def _layout(file: Path) -> _Layout:
    with legible(file, "text"), file.open(encoding="utf-8-sig", newline="") as source:
        cells = next(csv.reader(source, delimiter=_delimiter(file)), None)
    if not cells:
        raise ValueError(f"{file} is empty" if cells is None else f"the first line of {file} is empty")
    counted = [str(n) for n in range(len(cells))], [str(n + 1) for n in range(len(cells))]
    headed = cells in counted or not all(map(_is_number, cells))
    twice = [name for name in cells if headed and cells.count(name) > 1]
    if twice:
        raise ValueError(f"{file} has {cells.count(twice[0])} columns called {twice[0]!r}; rename them")
    layout = _Layout(file, {}, {}, headed)
    batches = _parse(layout, {})
    schema, head = next(batches), next(batches, None)
    batches.close()
    kinds = {field.name: str(field.type) for field in schema}
    if head is None or head.num_rows == 0:
        return _Layout(file, kinds, {}, headed)
    first = head.slice(0, 1).to_pylist()[0]
    lists = {name for name, value in first.items() if isinstance(value, str) and value.startswith("[")}
    kinds |= dict.fromkeys(lists, "list")
    texts = [name for name, kind in kinds.items() if kind == "string"]
    kinds |= {name: MIXED for name in texts if any(map(_is_number, head.column(name).to_pylist()))}
    return _Layout(file, kinds, first, headed)


def _coordinates(layout: _Layout, column: str | None, labels: str | None) -> list[str]:
    """Return the columns of coordinates, or the one of lists."""
    kinds = {name: kind for name, kind in layout.kinds.items() if name != labels}
    lists = {name: [name] for name, kind in kinds.items() if kind == "list"}
    groups: dict[str, list[str]] = {}
    for name in kinds:
        if numbered := re.fullmatch(r"(.*?)\d+", name, re.DOTALL):
            groups.setdefault(numbered[1], []).append(name)
    found = {
        prefix: names
        for prefix, names in groups.items()
        if prefix == column or (len(names) > 1 and "double" in {kinds[name] for name in names})
    }
    choices = {**found, **lists}
    if column is None and not choices:
        return _all_numeric(layout.file, kinds)
    wanted = "group of numbered columns, or column of lists"
    chosen = choose(layout.file, column, list(choices), layout.kinds, kind="column", wanted=wanted)
    if chosen not in choices:
        raise ValueError(
            f"column {chosen!r} of {layout.file} holds {layout.kinds[chosen]}, not lists of numbers; "
            "coordinates in columns of their own are named by what stands before their number, as e of e0, e1"
        )
    return choices[chosen]


def _all_numeric(file: Path, kinds: dict[str, str]) -> list[str]:
    numeric = [name for name, kind in kinds.items() if kind == "double"]
    unclear = {name: kind for name, kind in kinds.items() if kind in UNCLEAR}
    if unclear or not numeric:
        found = "no column holds decimal numbers"
        for name, kind in unclear.items():
            found = f"column {name!r} holds {UNCLEAR[kind]}"
        raise ValueError(
            f"which columns of {file} are coordinates is not clear, since {found}; number the columns of "
            f"coordinates (e0, e1, ...), or leave out all others but the labels; it holds {described(kinds)}"
        )
    return numeric


def _batches(
    layout: _Layout, names: list[str], labels: str | None, lists: bool
) -> Generator[Any, None, None]:
    kinds = dict.fromkeys(names, "string" if lists else "double")
    if labels is not None:
        kinds[labels] = "string"
    batches = _parse(layout, kinds)
    next(batches)
    yield from batches


def _parse(layout: _Layout, kinds: dict[str, str]) -> Generator[Any, None, None]:
    """Yield the schema, then the batches, of some columns read as these types, or of all as they look."""
    import pyarrow as arrow
    from pyarrow import csv as arrow_csv

    types = {"string": arrow.string(), "double": arrow.float64()}
    with legible(layout.file, layout.kind):
        reader = arrow_csv.open_csv(
            layout.file,
            read_options=arrow_csv.ReadOptions(
                block_size=BYTES, autogenerate_column_names=not layout.headed, use_threads=False
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=_delimiter(layout.file), newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(  # NaN is a number, and only an empty cell is missing
                null_values=[""],
                include_columns=list(kinds),
                column_types={name: types[kind] for name, kind in kinds.items()},
            ),
        )
    with reader:
        yield reader.schema
        while True:
            with legible(layout.file, layout.kind):
                batch = next(iter(reader), None)
            if batch is None:
                return
            yield batch


def _delimiter(file: Path) -> str:
    return "\t" if file.suffix.lower() == ".tsv" else ","


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
