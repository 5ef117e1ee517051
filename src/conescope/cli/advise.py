"""`conescope advise FILE`: does centering, all-but-the-top or whitening help on held-out data?"""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from conescope.cli.reading import AsJson, Column, Labels, Seed, computing_progress, plain

if TYPE_CHECKING:
    from rich.table import Table

    from conescope.results import Advice


def advise(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Points, as for measure.")],
    pairs: Annotated[
        str | None,
        typer.Option(
            metavar="TSV", help="Pairs: two row numbers, from 0, and a score of how alike they are."
        ),
    ] = None,
    partners: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The points that the second row numbers of the pairs count."),
    ] = None,
    labels: Labels = None,
    column: Column = None,
    folds: Annotated[
        int, typer.Option(min=2, metavar="N", help="Parts, each of which is held out once.")
    ] = 5,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Try the usual fixes on held-out data, and recommend one, or none.

    For example: conescope advise corpus.npy --pairs dev.tsv
    """
    from conescope.survey import advise as advice_of

    with computing_progress() as stage:
        found = advice_of(
            file,
            pairs=pairs,
            partners=partners,
            labels=labels,
            column=column,
            folds=folds,
            seed=seed,
            stage=stage,
        )
    if as_json:
        typer.echo(found.to_json())
        return
    show(found, file, partners=partners, column=column)


def show(found: "Advice", title: str, *, partners: str | None = None, column: str | None = None) -> None:
    """Print what was tried, the advice, how to follow it, and notes.

    `title` is the file of the points; `partners` and `column` are as given to `advise`.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    head = f"{title}: {found.n} points in {found.d} dimensions"
    console.print(Text(plain(head), style="bold"))
    console.print(_table(found))
    console.print()
    if found.metric:
        legend = (
            f"score: {found.metric}, on {found.examples} held-out examples in {found.folds} parts; 95 % "
            "intervals of each difference alone; p corrected by Holm's rule"
        )
        console.print(Text(legend, style="dim"))
        console.print()
    style = "bold green" if found.recommended else "bold"
    console.print(Text(found.verdict, style=style))
    if found.recommended is not None:
        files = [title] if partners is None else [title, partners]
        console.print(Text(plain(_command(found, files, column)), style="bold"), soft_wrap=True)
    for note in found.notes:
        console.print()
        console.print(Text.assemble(("note: ", "yellow"), plain(note)))


def _table(found: "Advice") -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from conescope.cli.tables import number

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    scored = found.task != "none"
    headings = ["score", "gain", "95 % interval", "p", ""] if scored else []
    table.add_column("fix", overflow="fold")
    for heading in [*headings, "cosine", "isoscore"]:
        table.add_column(heading, justify="left" if not heading else "right", overflow="fold")
    signs = {"better": "^", "worse": "v", "within noise": "=", "not known": "?"}
    for one in found.candidates:
        ends = "" if one.low is None or one.high is None else f"{number(one.low)} {number(one.high)}"
        p = "" if one.p is None else f"{one.p:.2g}"
        sign = signs[one.outcome] if one.kind else ""
        cells = [number(one.score), number(one.difference), ends, p, sign] if scored else []
        table.add_row(one.name, *cells, number(one.mean_cosine), number(one.isoscore))
    return table


def _command(found: "Advice", files: list[str], column: str | None) -> str:
    """Return the command that fits the recommended fix to all points."""
    assert found.recommended is not None
    best = found.candidate(found.recommended)
    assert best.kind is not None
    words = ["conescope", "fix", "fit", *files, "--kind", best.kind]
    for name, value in best.settings.items():
        words += ["--set", f"{name}={value}"]
    if column is not None:
        words += ["--column", column]
    return shlex.join([*words, "-o", "fix.safetensors"])
