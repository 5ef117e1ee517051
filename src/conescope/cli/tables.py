"""Tables of measures for a terminal of 80 columns: name, value, interval, what to compare it with."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from conescope.results import ComparedValue, Comparison, MeasuredValue, Measurement

WIDE = 130  # columns from which on meanings have room
SPACE = 12  # columns of a value, a sign, and the gap beside them


def number(value: float | None) -> str:
    """Return a number in at most nine characters; without decimals only if it is a whole number."""
    if value is None:
        return ""
    value += 0.0  # turns -0.0 into 0.0
    texts = [f"{value:.{digits}g}" for digits in (3, 2)]
    if 1e-3 <= abs(value) < 1e6:
        texts = [f"{value:.4f}", f"{value:.1f}", *texts]
    if value.is_integer():
        texts = [f"{value:.0f}", *texts]
    return next(text for text in texts if len(text) <= 9)


def interval(measured: "MeasuredValue") -> str:
    """Return an interval, or nothing."""
    if measured.low is None or measured.high is None:
        return ""
    return f"{number(measured.low)} {number(measured.high)}"


def range_text(ends: tuple[float | None, float | None] | None) -> str:
    """Return a healthy range in words of one sign."""
    if ends is None:
        return ""
    low, high = (None if end is None or math.isinf(end) else f"{end:.4g}" for end in ends)
    if low is None:
        return "" if high is None else f"<= {high}"
    return f">= {low}" if high is None else f"{low} to {high}"


def measured_table(found: "Measurement", *, wide: bool) -> "Table":
    """Return the table of a measurement, a section for each family; with meanings where there is room."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from conescope.measures import FAMILIES

    healthy = any(range_text(value.healthy) for value in found.values)
    intervals = any(interval(value) for value in found.values)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("measure", overflow="fold")
    table.add_column("value", justify="right", no_wrap=True)
    if intervals:
        table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("isotropic", justify="right", no_wrap=True)
    if healthy:
        table.add_column("healthy")
    if wide:
        table.add_column("meaning")
    measured = {value.name: value for value in found.values}
    for family, rows in FAMILIES.items():
        rows = tuple(row for row in rows if row.name in measured)
        if rows:
            table.add_row(Text(family, style="italic"))
        for row in rows:
            value = measured[row.name]
            star = "*" if value.value is not None and value.note else ""
            cells = [Text(f"  {row.name}{star}"), Text(shown(value), style="bold")]
            if intervals:
                cells.append(Text(interval(value)))
            cells.append(Text(number(value.isotropic)))
            if healthy:
                cells.append(Text(range_text(value.healthy)))
            if wide:
                cells.append(Text(row.meaning, style="dim"))
            table.add_row(*cells)
    return table


def shown(measured: "MeasuredValue") -> str:
    """Return the value, or that it is undefined."""
    return "undefined" if measured.value is None else number(measured.value)


def compared_tables(found: "Comparison", width: int) -> "list[Table]":
    """Return tables with a column for each space, as many beside the first one as have room."""
    names = [len(name) for name in found.names()]
    room = max((width - max(names, default=0)) // SPACE - 1, 1)
    first, *others = found.spaces
    return [
        _compared_table(found, first, others[start : start + room]) for start in range(0, len(others), room)
    ]


def _compared_table(found: "Comparison", first: str, others: list[str]) -> "Table":
    """Return a table of the first space and some others, with a sign where they differ beyond noise."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from conescope.cli.reading import plain

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("measure", overflow="fold")
    for space in (first, *others):
        table.add_column(Text(plain(space)), justify="right", overflow="fold")
    for name in found.names():
        cells = [Text(shown(found.spaces[first].measured(name)))]
        for space in others:
            compared = found.difference(name, space)
            value = shown(found.spaces[space].measured(name))
            style = "bold" if compared.outcome in ("higher", "lower") else "dim"
            cells.append(Text(f"{value} {_sign(compared)}", style=style))
        table.add_row(Text(plain(name)), *cells)
    return table


def _sign(compared: "ComparedValue") -> str:
    if compared.difference is None:  # one of the two is undefined
        return " "
    return {"higher": "^", "lower": "v", "within noise": "=", "not known": "?"}[compared.outcome]
