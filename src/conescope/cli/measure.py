"""`conescope measure FILE...`: the measures of points in files, with a verdict, as a table or as JSON."""

from typing import TYPE_CHECKING, Annotated

import typer

from conescope.cli.reading import (
    AsJson,
    Column,
    Labels,
    Names,
    Partners,
    Precise,
    Sample,
    Seed,
    Where,
    computing_progress,
    listed,
    scanned,
)

if TYPE_CHECKING:
    from rich.console import Console

    from conescope.results import Finding, Measurement


def measure(
    files: Where,
    column: Column = None,
    labels: Labels = None,
    names: Names = None,
    partners: Partners = None,
    sample: Sample = 2048,
    seed: Seed = 0,
    double: Precise = False,
    quick: Annotated[
        bool,
        typer.Option("--quick", metavar="", help="Values only: no intervals, and no Gaussian cloud drawn."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the shape of an embedding space, and say what stands out.

    For example: conescope measure vectors.parquet --column embedding --labels topic
    """
    from conescope.survey.inputs import pairs_of_files
    from conescope.survey.measurement import measurement
    from conescope.survey.reading import told

    (state, failed), rows = scanned(
        files,
        names,
        column=column,
        labels=labels,
        partners=partners,
        sample=sample,
        seed=seed,
        double=double,
    )
    assert state is not None  # or scanned would have raised
    pairs = None if partners is None else pairs_of_files(files, partners, column)
    with computing_progress() as stage:
        found = measurement(
            state, rows, partners=pairs, seed=seed, intervals=not quick, null=not quick, stage=stage
        )
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show(found, listed(files))
    if failed:  # what could be read is shown, and the rest is an error
        raise ValueError(f"the values leave out what could not be read: {told(failed)}")


def show(found: "Measurement", title: str) -> None:
    """Print a measurement: a table by families, what is undefined and why, notes, and the verdict."""
    from rich.console import Console
    from rich.text import Text

    from conescope.cli.tables import WIDE, measured_table

    console = Console(highlight=False)
    wide = console.width >= WIDE
    console.print(Text(f"{title}: {found.n} points in {found.d} dimensions", style="bold"))
    console.print(measured_table(found, wide=wide))
    console.print()
    if any(value.isotropic is not None for value in found.values):
        console.print(Text("isotropic: what as many points of an isotropic Gaussian would give", style="dim"))
    for note in sorted({value.note for value in found.values if value.value is not None and value.note}):
        console.print(Text(f"* {note}", style="dim"))
    if console.is_terminal and not wide:
        console.print(Text(f"a terminal of {WIDE} columns shows what each measure means", style="dim"))
    for line in _undefined(found):
        console.print(Text(line, style="dim"))
    for note in found.notes:
        console.print()
        console.print(Text.assemble(("note: ", "yellow"), note))
    for finding in found.findings:
        _show_finding(console, finding)


def _undefined(found: "Measurement") -> list[str]:
    """Return a sentence for each reason why measures are undefined."""
    names: dict[str, list[str]] = {}
    for value in found.values:
        if value.value is None:
            names.setdefault(value.note, []).append(value.name)
    return [
        f"{', '.join(some)} {'is' if len(some) == 1 else 'are'} undefined: {note}"
        for note, some in names.items()
    ]


def _show_finding(console: "Console", finding: "Finding") -> None:
    from rich.padding import Padding
    from rich.text import Text

    styles = {"collapsed": "red", "unknown": "yellow", "look": "yellow", "healthy": "green"}
    console.print()
    console.print(Text.assemble((f"{finding.title}: ", f"bold {styles[finding.level]}"), finding.evidence))
    said_of = {"likely cause": finding.cause, "smallest fix": finding.fix, "verify": finding.verify}
    for word, said in said_of.items():
        if said:
            console.print(Padding(Text.assemble((f"{word}: ", "bold"), said), (0, 0, 0, 2), expand=False))
