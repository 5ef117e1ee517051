"""`conescope ablate`: does a regularizer help this model on this task?"""

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conescope.cli.comparing import MARKS, training_progress
from conescope.cli.reading import plain

if TYPE_CHECKING:
    from rich.table import Table

    from conescope.ablation import ArmSpec
    from conescope.results import Ablation, PairedDifference

REGULARIZERS = (
    "none,persistent-entropy,persistent-entropy:selection=None,iso-score,cosine,koleo,"
    "variance-covariance,sliced-gaussian,spectral-entropy,uniformity"
)
OPTION = re.compile(r"\w+\s*=")  # an arm begins with its name, an option with its name and =
HEADLINE = "anisotropy_1"
NAME = 22  # columns that the table has for the name of an arm


def ablate(
    model: Annotated[str, typer.Option(help="Folder or hub id of a transformers model.")],
    train: Annotated[Path, typer.Option(help="Training data: TSV, CSV, JSON lines or Parquet.")],
    dev: Annotated[Path, typer.Option(help="Held-out data, in the same columns.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for runs, ablation.json and ablation.html.")
    ],
    text: Annotated[str, typer.Option(help="Column with the text.")] = "text",
    text_pair: Annotated[str | None, typer.Option(help="Column with the second text of a pair.")] = None,
    label: Annotated[str, typer.Option(help="Column with the class.")] = "label",
    regularizers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARM,ARM,...",
            help="Arms: name, or name:option=value,option=value. Can be given several times. "
            f"Default: {REGULARIZERS}.",
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            metavar="auto|given|W",
            help="auto chooses weights on a split of the training data, given takes 1, a number is for all "
            "arms; an arm with weight= or balanced= keeps its own.",
        ),
    ] = "auto",
    seeds: Annotated[int, typer.Option(help="Number of seeds, from 0 on.")] = 5,
    epochs: Annotated[float, typer.Option(help="Passes over the training data.")] = 3.0,
    lr: Annotated[float, typer.Option(help="Highest learning rate.")] = 5e-5,
    batch_size: Annotated[int, typer.Option(help="Examples a step.")] = 64,
    max_length: Annotated[int, typer.Option(help="Tokens kept of a text.")] = 128,
    pooling: Annotated[str, typer.Option(help="cls, mean, first_last_mean or last_token.")] = "cls",
    layer: Annotated[
        int, typer.Option(help="Hidden state to regularize; 0 is the embeddings, -1 the last.")
    ] = -1,
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print JSON alone.")] = False,
) -> None:
    """Train with each regularizer and without, on the same seeds, and say whether any of them helps.

    For example: conescope ablate --model ./model --train train.tsv --dev dev.tsv
    --regularizers persistent-entropy,koleo:sphere=true,weight=0.1 --seeds 5 -o ablation/

    The same command again resumes: finished runs are kept. More arms or seeds cost their own runs alone.
    Started several times at once, it divides the runs between the processes.
    """
    from conescope._optional import require

    if seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {seeds}")
    require("transformers", extra="hf")
    from conescope.cli.comparing import quiet_transformers

    quiet_transformers()
    from conescope.ablation import Plan, ablate, parse_arm
    from conescope.training.recipe import Recipe
    from conescope.training.tables import read_labelled

    arms = [parse_arm(arm) for given in regularizers or [REGULARIZERS] for arm in split_arms(given)]
    train_data, dev_data, classes = read_labelled(train, dev, text=text, text_pair=text_pair, label=label)
    plan = Plan(
        title=f"{Path(model).name} on {train.name}",
        recipe=Recipe(
            model=model,
            epochs=epochs,
            lr=lr,
            batch_size=batch_size,
            max_length=max_length,
            pooling=pooling,  # type: ignore[arg-type]
            layer=layer,
            precision=precision,
            device=device,
        ),
        train=train_data,
        dev=dev_data,
        classes=classes,
        arms=_weighted(arms, weights),
        seeds=tuple(range(seeds)),
        weights="auto" if weights == "auto" else "given",
    )
    command = shlex.join(["conescope", *sys.argv[1:]])
    try:
        with training_progress(plan.training_runs) as progress:
            found = ablate(plan, output, command=command, progress=progress)
    except KeyboardInterrupt:
        typer.echo(
            f"stopped; finished runs are in {plain(str(output))}, and the same command goes on from there",
            err=True,
        )
        raise typer.Exit(130) from None
    from conescope.report import write_ablation

    write_ablation(found, output / "ablation.html")
    if json:
        typer.echo(found.model_dump_json())
    else:
        show(found, output)


def split_arms(text: str) -> list[str]:
    """Return the arms of a list with commas; what reads option=value belongs to the arm before it.

    >>> split_arms("koleo:weight=0.1,sphere=true,cosine")
    ['koleo:weight=0.1,sphere=true', 'cosine']

    Raises:
        ValueError: for an option before any arm, or a list without arms.
    """
    arms: list[str] = []
    for piece in filter(None, map(str.strip, text.split(","))):
        if not OPTION.match(piece):
            arms.append(piece)
        elif arms:
            arms[-1] += f"{',' if ':' in arms[-1] else ':'}{piece}"
        else:
            raise ValueError(f"--regularizers begins with a name, as in koleo:weight=0.1; got {piece!r}")
    if not arms:
        raise ValueError(f"--regularizers takes names with commas between, such as none,koleo; got {text!r}")
    return arms


def _weighted(arms: "list[ArmSpec]", weights: str) -> "tuple[ArmSpec, ...]":
    """Return the arms with the weight that the command line gives to all, if it gives one."""
    if weights in ("auto", "given"):
        return tuple(arms)
    try:
        weight = float(weights)
    except ValueError as problem:
        raise ValueError(f"--weights takes auto, given or a number, got {weights!r}") from problem
    if not 0 < weight < float("inf"):
        raise ValueError(f"--weights must be a positive number, got {weights}")
    return tuple(arm.with_weight(weight) for arm in arms)


def show(found: "Ablation", folder: Path) -> None:
    """Print the verdict and one line an arm, in 80 columns."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(_table(found))
    console.print(Text("\n" + plain(found.verdict), style="bold"))
    warned = sum(bool(run.warnings) for arm in found.arms for run in arm.runs)
    if warned:
        console.print(Text(f"{warned} run{'s' if warned > 1 else ''} with warnings; the page has them."))
    for note in found.notes:
        console.print(Text.assemble(("note: ", "yellow"), plain(note)))
    typer.echo(f"\nResult: {plain(str(folder / 'ablation.json'))}")
    typer.echo(f"Page: {plain(str(folder / 'ablation.html'))}")


def _table(found: "Ablation") -> "Table":
    """Return where each arm stands, and its differences to plain with simultaneous intervals."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    caption = "  ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items())
    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        caption=f"{caption}\n* on the front of score and isotropy",
    )
    table.caption_justify = "left"
    table.add_column("arm", overflow="fold", ratio=1)
    for name in (found.main_score, "minus plain", "anisotropy_1", "minus plain"):
        table.add_column(name, justify="right", overflow="fold")
    for arm in found.arms:
        point = next((each for each in found.front if each.arm == arm.name), None)
        star = " *" if point is not None and point.on_front else ""
        weight = "" if arm.weight is None or "weight=" in arm.name else f" x{arm.weight:g}"
        table.add_row(
            Text(_broken(plain(f"{arm.name}{weight}{star}"))),
            Text("" if point is None else f"{point.score:.4f}"),
            Text(_change(found, arm.name, found.main_score)),
            Text("" if point is None else f"{point.anisotropy:.4f}"),
            Text(_change(found, arm.name, HEADLINE)),
        )
    return table


def _broken(name: str) -> str:
    """Return a name with each option on a line of its own if it is long."""
    return name if len(name) <= NAME else re.sub("([:,])", "\\1\n  ", name)


def _change(found: "Ablation", arm: str, name: str) -> str:
    each: PairedDifference | None = next(
        (d for d in found.differences if (d.arm, d.name) == (arm, name)), None
    )
    if each is None:
        return ""
    told = f"{each.difference:+.4f} {MARKS[each.verdict]}"
    if each.adjusted_low is None or each.adjusted_high is None:
        return told
    return f"{told}\n[{each.adjusted_low:+.3f},{each.adjusted_high:+.3f}]"
