"""`conescope scan` and `conescope merge`: states of points in files, to be measured later or elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conescope.cli.reading import Column, Labels, Precise, Sample, Seed, reading_progress

if TYPE_CHECKING:
    from conescope.scale.state import State

Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE.state", help="Where the state goes.")]


def scan(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Points: files, folders or patterns, as for measure."),
    ],
    output: Output,
    column: Column = None,
    labels: Labels = None,
    sample: Sample = 4096,
    seed: Seed = 0,
    double: Precise = False,
) -> None:
    """Read points once and keep what measures need. The same command again resumes where it was stopped."""
    from conescope.scale import open_shards
    from conescope.scale.scan import scan as scan_of
    from conescope.survey.reading import told

    _check_suffix(output)
    with reading_progress() as advance:
        scanned = scan_of(
            open_shards(files, column=column, labels=labels),
            labels=labels is not None,
            precision="double" if double else None,
            sample=sample,
            seed=seed,
            path=output,
            advance=advance,
        )
    if scanned.state is not None:
        _tell(scanned.state, output)
    if scanned.failed:
        raise ValueError(told(scanned.failed))


def merge(
    states: Annotated[list[Path], typer.Argument(metavar="A.state B.state...", help="States of scans.")],
    output: Output,
) -> None:
    """Merge states of scans: the measures of the result are those of all their points."""
    from conescope.scale.state import load, save
    from conescope.scale.state import merge as merge_of

    _check_suffix(output)
    state, notes = load(states[0])
    for path in states[1:]:
        other, _ = load(path)
        try:
            state = merge_of(state, other)
        except ValueError as problem:
            raise ValueError(f"{path}: {problem}") from None
    save(state, output, notes)
    _tell(state, output)


def _check_suffix(output: Path) -> None:
    if output.suffix != ".state":
        raise ValueError(f"states are kept in files that end in .state, got {output}")


def _tell(state: "State", output: Path) -> None:
    shards = f" of {len(state.shards)} shards" if len(state.shards) > 1 else ""
    typer.echo(
        f"{output}: {state.n} points in {state.d} dimensions{shards}; conescope measure {output}", err=True
    )
