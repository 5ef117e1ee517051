"""Tasks of `conescope perturb`: their options, and scores and correlations on the terminal."""

from typing import TYPE_CHECKING, Annotated

import typer

from conescope.cli.reading import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from conescope.results import ScoredTask
    from conescope.results.prediction import Association

TaskOption = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        metavar="NAME=TRAIN,DEV",
        help="Fine-tune every perturbed model on TRAIN, and score it on DEV. Columns other than text and "
        "label follow: cola=train.tsv,dev.tsv,text=sentence,pair=other,label=class. Can be repeated.",
    ),
]
Examples = Annotated[
    int | None, typer.Option("--task-examples", metavar="N", help="Examples to train on; all if left out.")
]
Epochs = Annotated[float, typer.Option("--task-epochs", metavar="N", help="Passes over them.")]
Rate = Annotated[float, typer.Option("--task-lr", metavar="RATE", help="Highest learning rate.")]
TaskBatch = Annotated[int, typer.Option("--task-batch-size", metavar="N", help="Examples a step.")]
TaskLength = Annotated[int, typer.Option("--task-max-length", metavar="N", help="Tokens kept of an example.")]
Precision = Annotated[str, typer.Option("--task-precision", metavar="KIND", help="auto, fp32, bf16 or fp16.")]


def show_task(task: "ScoredTask", console: "Console") -> None:
    """Print the scores of a task at each percentage, and the correlations of the measures with the first."""
    from rich.text import Text

    head = f"{task.name}: {task.train_examples} examples to train on, {task.dev_examples} to be scored"
    console.print(Text(plain(head), style="bold"))
    console.print(_scores(task))
    if task.measures():
        console.print(_correlations(task))


def _scores(task: "ScoredTask") -> "Table":
    from conescope.cli.tables import number

    table = _grid("percent", *(cell for score in task.scores() for cell in (score, "range")))
    rows = zip(*(task.responses(score) for score in task.scores()), strict=True)
    for row in rows:
        cells = [
            cell
            for one in row
            for cell in (number(one.mean), f"{number(one.low)} {number(one.high)}" if one.defined > 1 else "")
        ]
        table.add_row(f"{row[0].percent:g}", *cells)
    return table


def _correlations(task: "ScoredTask") -> "Table":
    from conescope.results.scored_task import GIVEN_LEVEL, GIVEN_RANK

    table = _grid(f"ranks with {task.main_score}", "as is", "given dose", "within dose", "outcome")
    for name in task.measures():
        given = (task.association(name, *given) for given in ((), GIVEN_RANK, GIVEN_LEVEL))
        table.add_row(plain(name), *map(_value, given), task.outcome(name))
    return table


def _value(one: "Association | None") -> str:
    if one is None or one.value is None:
        return "-"
    return f"{one.value:+.2f}{' =' if one.within_noise else '  '}"


def _grid(*heads: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(heads[0], overflow="fold")
    for head in heads[1:]:
        table.add_column(head, justify="right", overflow="fold")
    return table
