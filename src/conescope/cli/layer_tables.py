"""A profile on the terminal: layers down, measures across, and what is constant."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from conescope.cli.reading import plain

if TYPE_CHECKING:
    from rich.table import Table

    from conescope.results import BiasDrift, Profile

SHOWN = ("mean_cosine", "mean_cosine_centered", "anisotropy_1", "isoscore", "twonn", "relative_drift")
SHORT = {
    "mean_cosine": "cosine",
    "mean_cosine_centered": "centered",
    "anisotropy_1": "anisotropy",
    "relative_drift": "rel. drift",
}  # headings with which a table fits 80 columns

LABEL, COLUMN = 10, 11  # characters of a layer's name, and of a measure


def show_drift(found: "BiasDrift", title: str) -> None:
    """Print what the parts of the blocks make of a common bias; the numbers are in the page."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(plain(f"\n{title}: noise with a common bias"), style="bold"))
    for sentence in found.verdict():
        console.print(Text(plain(sentence)))


def show(found: "Profile") -> None:
    """Print a profile: a table a stack, with layers down and measures across, and what is constant."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    head = f"{found.title}: {found.inputs} inputs, pooling {found.pooling}"
    for stack in found.stacks():
        console.print()
        console.print(Text(plain(f"{head}{', ' if stack else ''}{stack}"), style="bold"))
        for table in _tables(found, stack, console.width):
            console.print(table)
    if set(SHOWN) < set(found.names()):
        console.print(
            Text("all measures, with intervals: in the page of -o FOLDER, or by --json", style="dim")
        )
    for note in found.notes:
        console.print(Text.assemble(("note: ", "yellow"), plain(note)))


def _tables(found: "Profile", stack: str, width: int) -> "list[Table]":
    """Return the measures that say most, or all that were asked for, as many side by side as have room."""
    names = found.names()
    chosen = [name for name in SHOWN if name in names] if set(SHOWN) < set(names) else list(names)
    room = max((width - LABEL) // COLUMN, 1)
    return [_table(found, stack, chosen[start : start + room]) for start in range(0, len(chosen), room)]


def _table(found: "Profile", stack: str, names: Sequence[str]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from conescope.cli.tables import number

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("layer", no_wrap=True)
    for name in names:
        table.add_column(SHORT.get(name, name), justify="right", overflow="fold")
    for layer in found.of(stack):
        label = f"{layer.depth}" if layer.kind == "block" else f"{layer.depth} {layer.kind}"
        if layer.constant:
            table.add_row(Text(label), Text("constant", style="dim"), *[""] * (len(names) - 1))
            continue
        cells = [layer.measurement.measured(name) for name in names]
        table.add_row(
            Text(label), *(Text("-" if cell.value is None else number(cell.value)) for cell in cells)
        )
    return table
