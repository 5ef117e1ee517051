"""`conescope measure FILE...`: the measures of points in files, with a verdict, as a table or as JSON."""

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
    Where,
    computing_progress,
    reading_progress,
)

if TYPE_CHECKING:
    from conescope.results import Measurement


def measure(
    files: Where,
    column: Column = None,
    labels: Labels = None,
    names: Names = None,
    partners: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The positive of each point, in the same order: for alignment."),
    ] = None,
    sample: Sample = 4096,
    seed: Seed = 0,
    double: Precise = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out intervals and the Gaussian cloud: values only.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the shape of an embedding space: one point a row."""
    from conescope.survey.inputs import pairs_of_files
    from conescope.survey.measurement import measurement
    from conescope.survey.reading import read, told
    from conescope.survey.rows import chosen

    rows = chosen(names, labels=labels is not None, partners=partners is not None)
    with reading_progress() as advance:
        scanned = read(
            files,
            rows,
            column=column,
            labels=labels,
            sample=sample,
            seed=seed,
            precision="double" if double else None,
            advance=advance,
        )
    if scanned.state is None:
        raise ValueError(told(scanned.failed))
    if labels is None and scanned.state.classes is not None:  # a state that was scanned with labels
        rows = chosen(names, labels=True, partners=partners is not None)
    pairs = None if partners is None else pairs_of_files(files, partners, column)
    with computing_progress() as stage:
        found = measurement(
            scanned.state, rows, partners=pairs, seed=seed, intervals=not quick, null=not quick, stage=stage
        )
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show(found, ", ".join(files))
    if scanned.failed:  # what could be read is shown, and the rest is an error
        raise ValueError(told(scanned.failed))


def show(found: "Measurement", title: str) -> None:
    """Print a measurement: a table by families, notes, and the verdict."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from conescope.cli.tables import measured_table

    console = Console(highlight=False)
    console.print(Text(f"{title}: {found.n} points in {found.d} dimensions", style="bold"))
    console.print(measured_table(found, wide=console.width >= 130))
    console.print()
    legend = "isotropic: what as many points of an isotropic Gaussian give"
    if found.sampled is not None:
        legend += f"\n* on {found.sampled} of the points"
    console.print(Text(legend, style="dim"))
    for note in found.notes:
        console.print(Padding(Text(note, style="yellow"), (1, 0, 0, 0)))
    styles = {"collapsed": "red", "unknown": "yellow", "look": "yellow", "healthy": "green"}
    for finding in found.findings:
        console.print()
        console.print(
            Text(f"{finding.title}: ", style=f"bold {styles[finding.level]}") + Text(finding.evidence)
        )
        said_of = {"likely cause": finding.cause, "smallest fix": finding.fix, "verify": finding.verify}
        for word, said in said_of.items():
            if said:
                console.print(Padding(Text(f"{word}: ", style="bold") + Text(said), (0, 0, 0, 2)))
