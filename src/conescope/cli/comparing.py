"""What `finetune` and `demo` share: progress while training, and the outcome on the terminal."""

import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from conescope.results import Difference, FineTuning

SHOWN = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "matthews": "Matthews correlation",
    "step_seconds": "seconds a step",
}
MARKS = {"improved": "+", "worse": "-", "unchanged within noise": "=", "changed": "~", "not known": "?"}


@contextmanager
def training_progress(runs: int) -> Iterator[Callable[[str, int, int, int, float], None]]:
    """Yield a callback that shows each run: as bars on a terminal, else one line a run. All on stderr."""
    if not sys.stderr.isatty():
        begun: set[tuple[str, int]] = set()

        def tell(arm: str, seed: int, step: int, steps: int, loss: float) -> None:
            if (arm, seed) not in begun:
                begun.add((arm, seed))
                typer.echo(f"training {arm}, seed {seed}: {steps} steps", err=True)

        yield tell
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), expand=True) as bars:
        tasks: dict[tuple[str, int], TaskID] = {}

        def advance(arm: str, seed: int, step: int, steps: int, loss: float) -> None:
            if (arm, seed) not in tasks:
                label = escape(f"{len(tasks) + 1}/{runs} {arm}, seed {seed}")
                tasks[arm, seed] = bars.add_task(label, total=steps, loss="")
            shown = "" if math.isnan(loss) else f"loss {loss:.3f}"  # none is known before the first log
            bars.update(tasks[arm, seed], completed=step, loss=shown)

        yield advance


def quiet_transformers() -> None:
    """Keep transformers and the hub from printing load reports, retries and bars between our lines."""
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def show_outcome(result: "FineTuning", folder: Path, *, as_json: bool) -> None:
    """Write the report beside the result, and print the comparison: a table, or JSON alone."""
    from conescope.report import write_report

    write_report(result, folder / "report.html")
    if as_json:
        outcome = {
            "verdict": result.verdict,
            "differences": [difference.model_dump() for difference in result.differences],
            "notes": result.notes,
            "result": str(folder / "result.json"),
            "report": str(folder / "report.html"),
        }
        typer.echo(json.dumps(outcome))
        return
    console = Console()
    for arm in result.arms:
        mine = [difference for difference in result.differences if difference.arm == arm.name]
        if mine:
            console.print(_comparison_table(arm.name, mine))
        elif not result.differences:
            console.print(_scores_table(result, arm.name))
    console.print(f"\n[bold]{escape(result.verdict)}[/bold]")
    for note in result.notes:
        console.print(escape(f"Note: {note}."))
    console.print(
        escape(f"\nResult: {folder / 'result.json'}\nReport: {folder / 'report.html'}"), soft_wrap=True
    )


def _comparison_table(arm: str, rows: "list[Difference]") -> Table:
    """Return a table that fits 80 columns: the verdict is a mark, which the caption explains."""
    caption = "  ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items())
    table = Table(title=escape(f"{arm} against plain"), caption=caption, box=None, padding=(0, 1, 0, 0))
    table.title_justify = table.caption_justify = "left"
    table.add_column("", no_wrap=True)
    for name in ("plain", "with it", "change", "95 % interval", ""):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        interval = "" if row.low is None else f"[{row.low:+.2g},{row.high:+.2g}]"
        table.add_row(
            SHOWN.get(row.name, row.name),
            f"{row.plain:.3g}",
            f"{row.regularized:.3g}",
            f"{row.difference:+.3g}",
            escape(interval),
            MARKS[row.verdict],
        )
    return table


def _scores_table(result: "FineTuning", arm: str) -> Table:
    table = Table(title=escape(arm), title_justify="left", box=None, padding=(0, 1))
    runs = next(found.runs for found in result.arms if found.name == arm)
    table.add_column("seed", justify="right")
    for name in runs[0].scores:
        table.add_column(SHOWN.get(name, name), justify="right")
    for run in runs:
        table.add_row(str(run.seed), *(f"{value:.3f}" for value in run.scores.values()))
    return table
