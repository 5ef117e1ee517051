"""Tables of measures for a terminal of 80 columns: name, value, interval, what to compare it with."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from conescope.results import Comparison, MeasuredValue, Measurement


def number(value: float | None) -> str:
    """Return a number in at most nine characters."""
    if value is None:
        return ""
    if value != 0 and (abs(value) < 1e-4 or abs(value) >= 1e4):
        return f"{value:.3g}"
    return f"{value:.4f}"


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

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("measure", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("isotropic", justify="right", no_wrap=True)
    table.add_column("healthy", no_wrap=True)
    if wide:
        table.add_column("meaning", overflow="fold")
    measured = {value.name: value for value in found.values}
    for family, rows in FAMILIES.items():
        rows = tuple(row for row in rows if row.name in measured)
        if rows:
            table.add_row(Text(family, style="dim italic"))
        for row in rows:
            value = measured[row.name]
            shown = "undefined" if value.value is None else number(value.value)
            star = "*" if value.value is not None and value.note else ""
            cells = [
                Text(f"{row.name}{star}"),
                Text(shown, style="bold"),
                Text(interval(value)),
                Text(number(value.isotropic)),
                Text(range_text(value.healthy)),
            ]
            table.add_row(*cells, *([Text(row.meaning, style="dim")] if wide else []))
    return table


def compared_table(found: "Comparison") -> "Table":
    """Return a table with a column for each space; arrows where it differs from the first beyond noise."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    signs = {"higher": "^", "lower": "v", "within noise": "=", "not known": "?"}
    styles = {"higher": "bold", "lower": "bold", "within noise": "dim", "not known": "dim"}
    first, *others = found.spaces
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("measure", no_wrap=True)
    for space in found.spaces:
        table.add_column(Text(space), justify="right", overflow="fold")
    for name in found.names():
        cells = [Text(_value(found.spaces[first].measured(name)))]
        for space in others:
            outcome = found.difference(name, space).outcome
            value = _value(found.spaces[space].measured(name))
            cells.append(Text(f"{value} {signs[outcome]}", style=styles[outcome]))
        table.add_row(Text(name), *cells)
    return table


def _value(measured: "MeasuredValue") -> str:
    return "undefined" if measured.value is None else number(measured.value)
