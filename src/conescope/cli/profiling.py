"""What the commands that run a model share: its options, its inputs, and progress on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from conescope.cli.reading import plain

if TYPE_CHECKING:
    from conescope.capture.modality import Modality

Data = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        help="Inputs: .txt with a text a line, a table (.tsv .csv .jsonl .parquet) with --column, or a "
        "folder of sounds or images.",
    ),
]
DataColumn = Annotated[
    str | None, typer.Option("--column", metavar="NAME", help="Column of the texts, where it is not clear.")
]
ModalityOf = Annotated[
    str | None,
    typer.Option("--modality", metavar="KIND", help="text, audio or image; not needed if it is clear."),
]
Specials = Annotated[
    bool,
    typer.Option("--special-tokens", metavar="", help="Let tokens such as [CLS] and [SEP] count, too."),
]
BatchSize = Annotated[int, typer.Option(min=1, metavar="N", help="Inputs of one forward pass.")]
MaxLength = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Tokens of a text, or samples of a sound, that are kept."),
]
Limit = Annotated[
    int | None, typer.Option(min=2, metavar="N", help="Inputs, the first of the data. All if left out.")
]
Device = Annotated[
    str | None, typer.Option(metavar="NAME", help="Where to run; cuda if left out and there, else cpu.")
]


def inputs_of(
    data: Path, column: str | None, modality: str | None, limit: int | None = None
) -> "tuple[list[Any], Modality]":
    """Return the inputs in a file or folder, and their modality.

    Raises:
        ValueError: for a modality that does not exist, and as `read_inputs` does.
    """
    from conescope.capture.modality import Modality
    from conescope.capture.reading import read_inputs

    kinds = get_args(Modality)
    if modality is not None and modality not in kinds:
        raise ValueError(f"--modality must be one of {', '.join(kinds)}; got {modality!r}")
    found, kind = read_inputs(data, column=column, modality=modality)  # type: ignore[arg-type]
    return list(found[:limit]), kind


def fastest() -> str:
    """Return cuda where there is one, or cpu: sums are held in float64, which not every accelerator has."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def profiling_progress(
    title: str,
) -> Iterator[tuple[Callable[[int, int], None], Callable[[str], None]]]:
    """Yield callbacks for inputs done and for what is measured; a bar on a terminal, else a line."""
    if not sys.stderr.isatty():
        typer.echo(f"profiling {plain(title)}", err=True)
        yield lambda done, total: None, lambda what: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), expand=True, transient=True) as bars:
        task = bars.add_task(escape(plain(title)[-32:]), total=None)

        def stage(what: str) -> None:
            bars.update(task, description=escape(f"measuring {plain(what)}"))

        yield lambda done, total: bars.update(task, completed=done, total=total), stage
