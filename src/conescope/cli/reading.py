"""What the commands that read points share: options, and progress on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

Where = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
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
        help="A measure by name, such as isoscore; repeat for more. All if left out.",
    ),
]
Sample = Annotated[
    int,
    typer.Option(
        min=2, metavar="N", help="Points that measures of pairs look at, drawn without replacement."
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed of that draw.")]
Precise = Annotated[
    bool,
    typer.Option(
        "--double", help="Make all products in double precision, also of many points: half as fast."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")]


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
            bars.update(task, description=escape(shard[-24:]), completed=rows, total=total, rate=rate)

        yield advance


@contextmanager
def computing_progress() -> Iterator[Callable[[str], None]]:
    """Yield a callback that shows what is computed; a spinner on a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield lambda what: None
        return
    from rich.console import Console

    with Console(stderr=True).status("measuring") as status:
        yield lambda what: status.update(f"measuring: {what}")
