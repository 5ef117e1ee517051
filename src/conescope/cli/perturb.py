"""`conescope perturb MODEL --data FILE`: how measures answer to noise in the weights."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conescope.cli.profiling import (
    BatchSize,
    Data,
    DataColumn,
    Device,
    Limit,
    MaxLength,
    ModalityOf,
    fastest,
    inputs_of,
    profiling_progress,
)
from conescope.cli.reading import AsJson, Sample, Seed, plain
from conescope.cli.scored_tasks import (
    Epochs,
    Examples,
    Precision,
    Rate,
    TaskBatch,
    TaskLength,
    TaskOption,
    show_task,
)

if TYPE_CHECKING:
    from rich.table import Table

    from conescope.results.perturbation import Perturbation

LEVEL = 9  # columns of a percentage, and of a mean
RANGE = 20  # of a range


def perturb(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, or a name on the hub.")],
    data: Data,
    percents: Annotated[
        str | None,
        typer.Option(
            "--percent", metavar="A,B,...", help="Noise, from 0 to 100. Default: ten levels from 0 to 100."
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, metavar="N", help="Draws of the noise.")] = 3,
    measures: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Names of measures, such as eee,vrm,isoscore.")
    ] = None,
    pooling: Annotated[
        str,
        typer.Option(
            "--pool", metavar="RULE", help="What is a point: tokens (each one), mean, first, last or cls."
        ),
    ] = "tokens",
    special_tokens: Annotated[
        bool,
        typer.Option(
            "--special-tokens/--no-special-tokens", help="Whether tokens such as [CLS] and [SEP] count."
        ),
    ] = True,
    layer: Annotated[
        int, typer.Option(min=-1, metavar="N", help="0 is what enters the first block, -1 the last one.")
    ] = -1,
    stack: Annotated[
        str | None, typer.Option(metavar="NAME", help="Stack of the layer, such as encoder, if it has two.")
    ] = None,
    parts: Annotated[
        str, typer.Option(metavar="WHICH", help='What gets noise: "encoder weights" or "block weights".')
    ] = "encoder weights",
    layer_norm: Annotated[
        bool, typer.Option("--layer-norm/--no-layer-norm", help="Whether normalizations get noise, too.")
    ] = True,
    noise: Annotated[
        str, typer.Option(metavar="KIND", help="unit (deviation 1), or matched: that of each weight.")
    ] = "unit",
    task: TaskOption = None,
    task_examples: Examples = None,
    task_epochs: Epochs = 3.0,
    task_lr: Rate = 1e-4,
    task_batch_size: TaskBatch = 32,
    task_max_length: TaskLength = 128,
    task_precision: Precision = "auto",
    column: DataColumn = None,
    modality: ModalityOf = None,
    limit: Limit = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="Where perturbation.json and report.html go, and a study resumes.",
        ),
    ] = None,
    batch_size: BatchSize = 32,
    max_length: MaxLength = None,
    device: Device = None,
    sample: Sample = 2048,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Put noise into the weights of a model, and measure what that does to its hidden states and scores.

    For example: conescope perturb ./model --data texts.txt --percent 0,1,3,10 -o out/
    """
    from conescope._optional import require

    require("transformers", extra="hf")
    from conescope.cli.comparing import quiet_transformers
    from conescope.perturb import PERCENTS, study
    from conescope.profile import POINTS

    if pooling not in POINTS:
        raise ValueError(f"--pool must be one of {', '.join(POINTS)}; got {pooling!r}")
    levels = PERCENTS if percents is None else _numbers(percents)
    quiet_transformers()
    tasks, budget = [], None
    how = (task_examples, task_epochs, task_lr, task_batch_size, task_max_length, task_precision)
    if not task and how != (None, 3.0, 1e-4, 32, 128, "auto"):
        raise ValueError("--task-examples, --task-epochs, ... are for a --task, and none is given: name one")
    if task:
        from conescope.perturb import Budget, parse_task

        tasks = [parse_task(words) for words in task]
        budget = Budget(*how)
    inputs, kind = inputs_of(data, column, modality, limit)
    with profiling_progress(Path(model).name or model) as (advance, stage):
        found = study(
            model,
            inputs,
            percents=levels,
            repeats=repeats,
            seed=seed,
            parts=parts,  # type: ignore[arg-type]
            layer_norm=layer_norm,
            noise=noise,  # type: ignore[arg-type]
            measures=None if measures is None else [name.strip() for name in measures.split(",")],
            pooling=pooling,  # type: ignore[arg-type]
            special_tokens=special_tokens,
            layer=layer,
            stack=stack,
            modality=kind,
            batch_size=batch_size,
            max_length=max_length,
            device=device or fastest(),
            sample=sample,
            path=output,
            tasks=tasks,
            budget=budget,
            advance=advance,
            stage=_lines if tasks and not sys.stderr.isatty() else stage,
        )
    if as_json:
        typer.echo(found.to_json())
    else:
        show(found)
    if output is not None:
        from conescope.report import write_perturbation

        write_perturbation(found, output / "report.html")
        typer.echo(f"Report: {plain(str(output / 'report.html'))}", err=as_json)


def _lines(what: str) -> None:
    """Say what is run next where no bar shows it: fine-tunings take long."""
    typer.echo(f"running {plain(what)}", err=True)


def _numbers(text: str) -> list[float]:
    """Return the numbers of a list with commas.

    Raises:
        ValueError: naming what is no number.
    """
    found = []
    for word in text.split(","):
        try:
            found.append(float(word))
        except ValueError as problem:
            raise ValueError(
                f"--percent takes numbers with commas between, such as 0,0.5,10; got {word.strip()!r}"
            ) from problem
    return found


def show(found: "Perturbation") -> None:
    """Print the measures, as many beside each other as the terminal is wide: means, and their ranges."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    where = f"{found.stack} layer {found.depth}".strip()
    head = f"{found.title} ({found.architecture}), {where}: {found.noise} noise in {found.tensors} tensors"
    console.print(Text(plain(head), style="bold"))
    names = found.names()
    room = max((console.width - LEVEL) // (LEVEL + RANGE + 2), 1)
    for start in range(0, len(names), room):
        console.print(_table(found, names[start : start + room]))
    for task in found.tasks:
        show_task(task, console)
    for note in found.notes:
        console.print(Text.assemble(("note: ", "yellow"), plain(note)))


def _table(found: "Perturbation", names: Sequence[str]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from conescope.cli.tables import number

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("percent", justify="right", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", overflow="fold")
        table.add_column("range", justify="right", no_wrap=True)
    for percent in found.percents():
        cells = [Text(f"{percent:g}")]
        for name in names:
            answer = found.response(name, percent)
            several = answer.defined > 1
            cells.append(Text("-" if answer.mean is None else number(answer.mean), style="bold"))
            cells.append(Text(f"{number(answer.low)} {number(answer.high)}" if several else ""))
        table.add_row(*cells)
    return table
