"""What the commands that read points share: options, reading itself, and progress on stderr."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from conescope.measures import Measure
    from conescope.scale import Scanned, State


def _seed(value: int) -> int:
    if not 0 <= value < 2**32:
        raise typer.BadParameter(f"a seed is at least 0 and less than 2^32, got {value}")
    return value


Where = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE",
        help="Points: files, folders or patterns of .npy .npz .safetensors .parquet .arrow .h5 .zarr .csv "
        ".jsonl; or .state files of a scan.",
    ),
]
Column = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Column or tensor that holds the vectors; not needed if it is clear."),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="NAME_OR_FILE",
        help="Classes: a column or tensor of the file, or a file (.npy, .txt with one a line).",
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--measure",
        metavar="NAME",
        help="A measure, such as isoscore; repeat for more. All if left out; a name that does not exist is "
        "answered with the list.",
    ),
]
Partners = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="The positive of each point, in the same order: for alignment."),
]
Sample = Annotated[
    int,
    typer.Option(
        min=2,
        metavar="N",
        help="Points, drawn at random, for measures that look at pairs of points. All points count in the "
        "others.",
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", callback=_seed, help="Seed of all that is drawn.")]
Precise = Annotated[
    bool,
    typer.Option(
        "--double", metavar="", help="Multiply in double precision also for many points: half as fast."
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", metavar="", help="Print the result as JSON and nothing else.")
]


def scanned(
    files: Sequence[str],
    names: Sequence[str] | None,
    *,
    column: str | None,
    labels: str | None,
    partners: str | None,
    sample: int,
    seed: int,
    double: bool,
) -> "tuple[Scanned, list[Measure]]":
    """Return what was read of files of points, or of states, and the measures that can be taken of it.

    Raises:
        ValueError: for an unknown measure, before anything is read; for one that needs labels or partners
            which are not there; for points and states together; if nothing could be read.
    """
    from conescope.scale.state import SUFFIX
    from conescope.survey.reading import are_states, read, told
    from conescope.survey.rows import chosen

    states = are_states(files)
    if not states and any(Path(file).suffix == SUFFIX for file in files):
        raise ValueError(
            "some of the files are states, others hold points: conescope scan makes states of points, and "
            "states are measured together"
        )
    given = {"--column": column, "--labels": labels, "--partners": partners}
    needless = [option for option, value in given.items() if value is not None]
    if states and needless:
        raise ValueError(f"{files[0]} holds all that was kept of its points: leave {needless[0]} out")
    rows = chosen(names, labels=labels is not None or states, partners=partners is not None)
    with reading_progress() as advance:
        found = read(
            files,
            rows,
            column=column,
            labels=labels,
            sample=sample,
            seed=seed,
            precision="double" if double else None,
            advance=advance,
        )
    if found.state is None:  # nothing could be read
        raise ValueError(told(found.failed))
    if states:  # only now it is known what they hold
        order: Literal[1, 2] = 1 if found.state.moments.scatter is None else 2
        rows = chosen(names, labels=found.state.classes is not None, partners=False, order=order)
        for record in stopped(found.state):
            typer.echo(f"note: {record}; the same conescope scan goes on from there", err=True)
    return found, rows


def stopped(state: "State") -> list[str]:
    """Return a sentence for each shard in which a scan was stopped."""
    return [
        f"the scan of {plain(record.name)} was stopped after {record.rows} rows"
        for record in state.shards
        if not record.complete
    ]


def plain(text: str) -> str:
    """Return a text of others for the terminal: control characters as escapes that can be read."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def listed(names: Sequence[str]) -> str:
    """Return some names in one line: the first three, and how many more there are."""
    if len(names) <= 4:
        return plain(", ".join(names))
    return plain(f"{', '.join(names[:3])} and {len(names) - 3} more")


@contextmanager
def reading_progress() -> Iterator[Callable[[int, int | None, str], None]]:
    """Yield a callback for rows read, rows there are, and the shard; a bar on a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield lambda rows, total, shard: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), expand=True, transient=True) as bars:
        task = bars.add_task("reading", total=None, rate="")

        def advance(rows: int, total: int | None, shard: str) -> None:
            speed = bars.tasks[0].speed
            rate = f"{speed:,.0f} rows/s" if speed else ""
            bars.update(task, description=escape(plain(shard)[-24:]), completed=rows, total=total, rate=rate)

        yield advance


@contextmanager
def computing_progress() -> Iterator[Callable[[str], None]]:
    """Yield a callback that shows what is computed; a spinner on a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield lambda what: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status("measuring") as status:
        yield lambda what: status.update(f"measuring: {escape(plain(what))}")
