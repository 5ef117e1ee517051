"""`conescope attention MODEL --data FILE`: drift and sharpness of every attention head."""

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
    Specials,
    fastest,
    inputs_of,
    profiling_progress,
)
from conescope.cli.reading import AsJson, Seed, plain

if TYPE_CHECKING:
    from rich.table import Table

    from conescope.results.attention import AttentionProfile, Correlation

SHOWN = (  # name, heading
    ("query_drift", "drift Q"),
    ("key_drift", "drift K"),
    ("cosine", "cosine"),
    ("product", "product"),
    ("entropy", "entropy"),
    ("maximum", "maximum"),
    ("special_weight", "special"),
)
ROWS = 48  # heads in the table


def attention(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, or a name on the hub.")],
    data: Data,
    column: DataColumn = None,
    modality: ModalityOf = None,
    limit: Limit = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Write attention.json there, with all heads."),
    ] = None,
    batch_size: BatchSize = 32,
    max_length: MaxLength = None,
    device: Device = None,
    special_tokens: Specials = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Show where the cone comes from inside attention: drift of queries and keys, and sharpness, by head.

    For example: conescope attention ./model --data texts.txt -o out/
    """
    from conescope._optional import require

    require("transformers", extra="hf")
    from conescope.cli.comparing import quiet_transformers
    from conescope.profile import profile_attention

    quiet_transformers()
    inputs, kind = inputs_of(data, column, modality, limit)
    with profiling_progress(model) as (advance, _):
        found = profile_attention(
            model,
            inputs,
            modality=kind,
            batch_size=batch_size,
            max_length=max_length,
            device=device or fastest(),
            special_tokens=special_tokens,
            seed=seed,
            advance=advance,
        )
    if output is not None:
        from conescope._files import write_text

        output.mkdir(parents=True, exist_ok=True)
        write_text(output / "attention.json", found.to_json())
    if as_json:
        typer.echo(found.to_json())
        return
    show(found)
    if output is not None:
        typer.echo(f"\nResult: {plain(str(output / 'attention.json'))}")


def show(found: "AttentionProfile") -> None:
    """Print the heads, and how drift goes with sharpness over them."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    head = f"{found.title} ({found.architecture}): {found.inputs} inputs, {len(found.heads)} heads"
    console.print(Text(plain(head), style="bold"))
    console.print(_heads(found))
    if len(found.heads) > ROWS:
        console.print(Text(f"the first {ROWS} heads; -o FOLDER or --json for all", style="dim"))
    console.print()
    console.print(Text("drift against sharpness, over heads", style="bold"))
    console.print(_correlations(found.correlations))
    for note in found.notes:
        console.print(Text.assemble(("note: ", "yellow"), plain(note)))


def _table(*headings: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", overflow="fold")
    return table


def _heads(found: "AttentionProfile") -> "Table":
    from conescope.cli.tables import number

    table = _table("head", *(heading for _, heading in SHOWN))
    for head in found.heads[:ROWS]:
        place = " ".join(filter(None, (head.stack, "" if head.kind == "self" else head.kind)))
        cells = [number(head.measured(name).value) for name, _ in SHOWN]
        table.add_row(f"{place} {head.layer}.{head.head}".strip(), *cells)
    return table


def _correlations(found: "tuple[Correlation, ...]") -> "Table":
    from conescope.cli.tables import interval, number

    table = _table("drift", "sharpness", "rank", "95 % interval", "linear", "95 % interval")
    for one in found:
        place = " ".join(filter(None, (one.stack, "" if one.kind == "self" else one.kind)))
        cells = [part for each in (one.rank, one.linear) for part in (number(each.value), interval(each))]
        name = one.drift.replace("query_drift*key_drift", "drift Q*K")  # 80 columns have no room for more
        table.add_row(f"{place} {name}".strip(), one.sharpness, *cells)
    return table
