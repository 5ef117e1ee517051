"""`conescope scan` and `conescope merge`: states of points in files, to be measured later or elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conescope.cli.reading import Column, Labels, Precise, Sample, Seed, plain, reading_progress, stopped

if TYPE_CHECKING:
    from conescope.scale import State

Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE.state", help="Where the state is written.")
]


def scan(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Points: files, folders or patterns, as for measure."),
    ],
    output: Output,
    column: Column = None,
    labels: Labels = None,
    sample: Sample = 2048,
    seed: Seed = 0,
    double: Precise = False,
) -> None:
    """Read points once, and keep in a small file what measures need of them.

    The same command again goes on where it was stopped; with more files, it adds them.

    For example: conescope scan shards/ -o all.state && conescope measure all.state
    """
    from conescope.scale import open_shards
    from conescope.scale.scan import scan as scan_of
    from conescope.survey.reading import told

    _check_suffix(output)
    extended = output.exists()
    try:
        with reading_progress() as advance:
            state, failed = scan_of(
                open_shards(files, column=column, labels=labels),
                labels=labels is not None,
                precision="double" if double else None,
                sample=sample,
                seed=seed,
                path=output,
                advance=advance,
            )
    except KeyboardInterrupt:
        typer.echo(
            f"stopped; what was read is in {plain(str(output))}, and the same command goes on from there",
            err=True,
        )
        raise typer.Exit(130) from None
    if state is not None:
        _tell(state, output, ", with what it held before" if extended else "")
    if failed:
        left_out = f"{output} leaves out what could not be read: " if state is not None else ""
        raise ValueError(left_out + told(failed))


def merge(
    states: Annotated[list[Path], typer.Argument(metavar="FILE.state", help="States of scans.")],
    output: Output,
) -> None:
    """Merge states of scans: the measures of the result are those of all their points.

    For example: conescope merge a.state b.state -o all.state
    """
    from conescope.scale.state import load, save
    from conescope.scale.state import merge as merge_of

    _check_suffix(output)
    merged, notes = None, None
    for path in states:
        state, of_scan = load(path)
        for record in stopped(state):
            raise ValueError(f"{path} is not finished: {record}; run that scan again, then merge")
        try:
            merged = state if merged is None else merge_of(merged, state)
        except ValueError as problem:
            raise ValueError(f"{path}: {problem}") from None
        notes = of_scan if notes is None else notes
    assert merged is not None  # an argument is required
    save(merged, output, notes)
    _tell(merged, output)


def _check_suffix(output: Path) -> None:
    if output.suffix != ".state":
        raise ValueError(f"states are kept in files that end in .state, got {output}")


def _tell(state: "State", output: Path, before: str = "") -> None:
    shards = f" of {len(state.shards)} files" if len(state.shards) > 1 else ""
    typer.echo(
        f"{plain(str(output))}: {state.n} points in {state.d} dimensions{shards}{before}; see them with "
        f"conescope measure {plain(str(output))}",
        err=True,
    )
