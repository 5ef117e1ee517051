"""`conescope barcode FILE...`: at which length which items join, in the terminal, as a page or as JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conescope.cli.reading import AsJson, Column, Seed, Where, computing_progress, listed, plain

if TYPE_CHECKING:
    from rich.table import Table

    from conescope.results import Barcode

LONGEST = 10  # bars in the table
PICTURE = 10  # columns of a bar in the table
STEPS = "▁▂▃▄▅▆▇█"


def barcode(
    files: Where,
    ids: Annotated[
        str | None,
        typer.Option(
            metavar="FILE_OR_NAME",
            help="Names or texts of the points: a text file with one a line, or a column of the file.",
        ),
    ] = None,
    column: Column = None,
    selection: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="Which bars count: recursive, single_pass, shifted, relative_entropy, or none for all.",
        ),
    ] = "recursive",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE.html", help="Draw the barcode and its tree as a page."),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(min=2, metavar="N", help="Points, drawn at random. All if left out."),
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Show the barcode of a point cloud: how long its bars are, and which two items each joins.

    For example: conescope barcode vectors.npy --ids texts.txt -o bars.html
    """
    from conescope.results.barcode import EVERY_BAR
    from conescope.survey.barcode import barcode as barcode_of
    from conescope.topology import RULES

    if selection not in (*RULES, EVERY_BAR):
        raise ValueError(f"--selection must be one of {', '.join(RULES)}, or {EVERY_BAR}; got {selection!r}")
    with computing_progress() as stage:
        found = barcode_of(
            files,
            ids,
            selection=None if selection == EVERY_BAR else selection,  # type: ignore[arg-type]
            column=column,
            sample=sample,
            seed=seed,
            title=listed(files),
            stage=stage,
        )
        if output is not None:
            from conescope.report import write_barcode

            stage("drawing")
            write_barcode(found, output)
    if as_json:
        typer.echo(found.model_dump_json())
        return
    show(found)
    if output is not None:
        typer.echo(f"\nReport: {plain(str(output))}")


def show(found: "Barcode") -> None:
    """Print a barcode: size, entropy of the bars that count, and the longest of them with their items."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    drawn = f" (drawn from {found.sampled_from})" if found.sampled_from else ""
    head = f"{found.title or 'barcode'}: {found.n} points in {found.d} dimensions{drawn}"
    console.print(Text(plain(head), style="bold"))
    for line in _summary(found):
        console.print(line)
    if found.lengths:
        unicode = not console.options.ascii_only
        if unicode:
            console.print(Text(_profile(found, min(console.width, 72))))
        console.print()
        console.print(_table(found, unicode=unicode))
        console.print(Text(f"* counts under the rule {found.selection}", style="dim"))
    for note in found.notes:
        console.print(Text.assemble(("note: ", "yellow"), plain(note)))


def _summary(found: "Barcode") -> list[str]:
    from statistics import median

    from conescope.cli.tables import number
    from conescope.results.barcode import EVERY_BAR

    zeros = sum(length == 0 for length in found.lengths)
    lines = [f"{len(found.lengths)} bars, {zeros} of length zero"]
    if found.lengths:
        middle = number(median(found.lengths))
        lines.append(
            f"longest {number(found.lengths[-1])}, median {middle}, total {number(sum(found.lengths))}"
        )
    chosen = found.selected()
    entropy, relative = number(chosen.entropy), number(chosen.relative_entropy)
    bars = f"{chosen.kept} {'bar' if chosen.kept == 1 else 'bars'}"
    whose = "of positive length" if chosen.rule == EVERY_BAR else f"that {chosen.rule} keeps"
    lines.append(f"entropy {entropy}, relative {relative}: of the {bars} {whose}")
    return lines


def _profile(found: "Barcode", width: int) -> str:
    """Return the barcode on one line, longest bar first; where bars outnumber columns, some of them."""
    lengths = found.lengths[::-1]
    columns = min(width, len(lengths))
    some = [lengths[place * len(lengths) // columns] for place in range(columns)]
    return "".join(STEPS[_share(length, lengths[0], len(STEPS) - 1)] for length in some)


def _share(length: float, longest: float, steps: int) -> int:
    return round(length / longest * steps) if longest > 0 else 0


def _table(found: "Barcode", *, unicode: bool) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from conescope.cli.tables import number

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, expand=True)
    table.add_column("length", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True, width=PICTURE)
    table.add_column("joins", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("with", no_wrap=True, overflow="ellipsis", ratio=1)
    kept = found.selected().kept
    for place, (length, one, other) in enumerate(found.longest(LONGEST)):
        picture = ("█" if unicode else "#") * _share(length, found.lengths[-1], PICTURE)
        names = [Text(plain(found.name(point))) for point in (one, other)]
        table.add_row(Text(number(length)), "*" if place < kept else "", picture, *names)
    return table
