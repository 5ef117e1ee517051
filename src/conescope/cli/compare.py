"""`conescope compare A B ...`: the same measures of several spaces, and what differs beyond noise."""

from typing import TYPE_CHECKING, Annotated

import typer

from conescope.cli.reading import (
    AsJson,
    Column,
    Labels,
    Names,
    Precise,
    Sample,
    Seed,
    computing_progress,
    plain,
)

if TYPE_CHECKING:
    from conescope.results import Comparison


def compare(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="SPACE",
            help="Spaces, two or more: each a file, folder or pattern of points, a .state file, or the JSON "
            "of `conescope measure --json`.",
        ),
    ],
    column: Column = None,
    labels: Labels = None,
    names: Names = None,
    sample: Sample = 2048,
    seed: Seed = 0,
    double: Precise = False,
    as_json: AsJson = False,
) -> None:
    """Compare embedding spaces: what differs from the first one, beyond noise.

    For example: conescope compare before.npy after.npy --measure mean_cosine --measure isoscore
    """
    from conescope.survey import compare as comparison_of

    with computing_progress() as stage:
        found = comparison_of(
            *files,
            measures=names,
            column=column,
            labels=labels,
            sample=sample,
            seed=seed,
            precision="double" if double else None,
            stage=stage,
        )
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show(found)


def show(found: "Comparison") -> None:
    """Print a comparison: a line for each space, tables of values, and notes."""
    from rich.console import Console
    from rich.text import Text

    from conescope.cli.tables import compared_tables

    console = Console(highlight=False)
    for name, space in found.spaces.items():
        verdict = "; ".join(finding.title for finding in space.findings)
        title = f"{name}: {space.n} points in {space.d} dimensions" + (f": {verdict}" if verdict else "")
        console.print(Text(plain(title), style="bold"))
    for table in compared_tables(found, console.width):
        console.print()
        console.print(table)
    console.print()
    first = plain(next(iter(found.spaces)))
    legend = f"against {first}: ^ higher, v lower, = within noise, ? no interval tells"
    console.print(Text(legend, style="dim"))
    for note in found.notes:
        console.print()
        console.print(Text.assemble(("note: ", "yellow"), plain(note)))
