"""`conescope measure FILE`: the measures of the points in a file, as a table or as JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from conescope.results import Measurement


def measure(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Points: .npy, .safetensors or .parquet.")],
    column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Tensor or column that holds the vectors; not needed if there is one."
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_FILE",
            help="Classes: a column or tensor of the file, or a file (.npy, .txt with one a line).",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--measure",
            metavar="NAME",
            help="A measure by name, such as isoscore; repeat for more. All if left out.",
        ),
    ] = None,
    sample: Annotated[
        int,
        typer.Option(
            min=2, metavar="N", help="Rows that measures of all pairs look at, drawn without replacement."
        ),
    ] = 4096,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of that draw.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON and nothing else.")
    ] = False,
) -> None:
    """Measure the shape of an embedding space: one point a row."""
    from conescope.scale import read_points
    from conescope.survey.measure import measure as measurement_of

    points, classes = read_points(file, column=column, labels=labels)
    found = measurement_of(points, classes, names, sample=sample, seed=seed)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    _print(found, file, sample)


def _print(found: "Measurement", file: Path, sample: int) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(f"{file}: {found.n} points in {found.d} dimensions", style="bold"))
    console.print(_table(found, sample))
    console.print()
    console.print(Text("isotropic: what as many points of an isotropic Gaussian would give", style="dim"))
    for note in found.notes:
        alarm = "bold red" if note.startswith("collapsed") else "yellow"
        console.print(Padding(Text(note, style=alarm), (1, 0, 0, 0)))


def _table(found: "Measurement", sample: int) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from conescope.measures import MEASURES

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("measure", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("isotropic", justify="right", no_wrap=True)
    table.add_column("meaning", overflow="fold")
    for measured in found.values:
        row = MEASURES[measured.name]
        expected = row.isotropic(min(found.n, sample) if row.reads == "bars" else found.n, found.d)
        meaning = Text(row.meaning, style="dim")
        if measured.note:
            meaning.append(f"\n{measured.note}", style="not dim yellow")
        table.add_row(
            Text(measured.name),
            Text("undefined" if measured.value is None else f"{measured.value:.4f}", style="bold"),
            Text("" if expected is None else f"{expected:.4f}"),
            meaning,
        )
    return table
