"""`conescope compare A B ...`: the same measures of several spaces, and what differs beyond noise."""

from pathlib import Path
from typing import Annotated

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
)


def compare(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="A B...",
            help="Spaces: files, folders or patterns of points, states, or JSON of `measure`.",
        ),
    ],
    column: Column = None,
    labels: Labels = None,
    names: Names = None,
    sample: Sample = 4096,
    seed: Seed = 0,
    double: Precise = False,
    as_json: AsJson = False,
) -> None:
    """Compare embedding spaces: what differs from the first one, beyond noise."""
    from conescope.survey import compare as comparison_of

    missing = [file for file in files if file.endswith(".json") and not Path(file).exists()]
    if missing:
        raise FileNotFoundError(f"there is no file {missing[0]}")
    with computing_progress() as stage:
        stage(", ".join(files))
        found = comparison_of(
            *files,
            measures=names,
            column=column,
            labels=labels,
            sample=sample,
            seed=seed,
            precision="double" if double else None,
        )
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from conescope.cli.tables import compared_table

    console = Console(highlight=False)
    for name, space in found.spaces.items():
        verdict = "; ".join(finding.title for finding in space.findings)
        console.print(Text(f"{name}: {space.n} points in {space.d} dimensions: {verdict}", style="bold"))
    console.print(compared_table(found))
    first = next(iter(found.spaces))
    legend = f"against {first}: ^ higher, v lower, = within noise, ? no interval"
    console.print(Padding(Text(legend, style="dim"), (1, 0, 0, 0)))
    for note in found.notes:
        console.print(Padding(Text(note, style="yellow"), (1, 0, 0, 0)))
