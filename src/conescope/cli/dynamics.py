"""`conescope dynamics --model MODEL --train FILE`: what a training does to geometry, while it trains."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from conescope.cli.profiling import BatchSize
from conescope.cli.reading import AsJson, Seed, plain

if TYPE_CHECKING:
    from rich.table import Table

    from conescope.results.dynamics import Mean, TangentResult

PHASES: tuple[Literal["all", "early", "late"], ...] = ("all", "early", "late")
SHORT = {"beyond mechanical": "beyond", "mechanical": "mechanical", "not known": "not known"}


def dynamics(
    model: Annotated[str, typer.Option(metavar="MODEL", help="A folder, or a name on the hub.")],
    train: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="Texts: .txt with one a line, or a table (.tsv .csv .jsonl .parquet)."
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where results and the report go.")
    ],
    text: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of the texts, where it is not clear.")
    ] = None,
    text_pair: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of the second text of a pair; with --label.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of the class; without, a language model.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="classify, causal or masked; if left out, what the model is for."),
    ] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Start from random weights of the same configuration.")
    ] = False,
    epochs: Annotated[float, typer.Option(metavar="X", help="Passes over the data.")] = 3.0,
    lr: Annotated[float, typer.Option(metavar="X", help="Highest learning rate.")] = 5e-5,
    batch_size: BatchSize = 32,
    max_length: Annotated[int, typer.Option(min=1, metavar="N", help="Tokens kept of a text.")] = 128,
    modules: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Linear maps by name; all of the blocks if left out."),
    ] = None,
    rank: Annotated[
        str, typer.Option(metavar="N", help="Directions of a proxy; auto: 90 % of the variance, <= d / 8.")
    ] = "auto",
    fit_fraction: Annotated[float, typer.Option(metavar="X", help="Share of the steps for the fit.")] = 0.3,
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Of so many steps one is looked at.")] = 20,
    draws: Annotated[int, typer.Option(min=1, metavar="N", help="Random frames of each null.")] = 20,
    proxy: Annotated[
        str, typer.Option(metavar="KIND", help="pca (fitted once), windowed (again and again) or concepts.")
    ] = "pca",
    others: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Output of a run with another seed: its proxies are a control."),
    ] = None,
    measures: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Measures of each layer, over the steps.")
    ] = None,
    record_every: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Steps between these; about 40 in all if left out.")
    ] = None,
    sample: Annotated[int, typer.Option(min=2, metavar="N", help="Texts that these are taken of.")] = 256,
    seed: Seed = 0,
    precision: Annotated[str, typer.Option(metavar="KIND", help="auto, fp32, bf16 or fp16.")] = "auto",
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu or cuda.")] = "auto",
    save_steps: Annotated[int, typer.Option(min=1, metavar="N", help="Steps between checkpoints.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Train a model, and measure whether its gradients follow its data, and what becomes of its layers.

    The same command again resumes: a training that was stopped goes on from its last checkpoint.

    For example: conescope dynamics --model ./model --train train.tsv --label label -o out/
    """
    from conescope._optional import require

    require("transformers", extra="hf")
    from conescope.cli.comparing import quiet_transformers, training_progress
    from conescope.dynamics.training_run import MEASURES, RESULTS, watched_training

    if text_pair is not None and label is None:
        raise ValueError("--text-pair goes with --label: a language model reads single texts")
    chosen = _rank(rank)
    quiet_transformers()
    texts, pairs, labels = _read(train, text, text_pair, label)
    title = f"{Path(model).name or model} on {train.name}"
    with training_progress(1) as progress:
        found = watched_training(
            model,
            texts,
            output,
            pairs=pairs,
            labels=labels,
            objective=objective,  # type: ignore[arg-type]
            from_scratch=from_scratch,
            epochs=epochs,
            lr=lr,
            batch_size=batch_size,
            max_length=max_length,
            modules=None if modules is None else _names(modules),
            rank=chosen,
            fit_fraction=fit_fraction,
            every=every,
            draws=draws,
            proxy=proxy,  # type: ignore[arg-type]
            others=others,
            measures=MEASURES if measures is None else _names(measures),
            record_every=record_every,
            sample=sample,
            seed=seed,
            precision=precision,
            device=device,
            save_steps=save_steps,
            advance=lambda step, steps, loss: progress(plain(title), seed, step, steps, loss),
        )
    from conescope.report import write_dynamics

    write_dynamics(found.tangent, found.trajectory, output / "report.html", title=title)
    if as_json:
        typer.echo(found.tangent.to_json())
    else:
        show(found.tangent, title)
    for name in (*RESULTS, "report.html"):
        typer.echo(f"Written: {plain(str(output / name))}", err=as_json)


def _rank(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"--rank must be auto or a number of directions, 1 or more; got {text!r}")
    return int(text)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _read(
    path: Path, text: str | None, text_pair: str | None, label: str | None
) -> tuple[list[str], list[str] | None, list[str] | None]:
    """Return texts, second texts, and the names of classes."""
    from conescope.capture import read_inputs

    if label is None:
        found, kind = read_inputs(path, column=text)
        if kind != "text":
            raise ValueError(f"{path}: holds {kind}, and texts are trained on; give a .txt file or a table")
        return [str(each) for each in found], None, None
    from conescope.training.tables import read_labelled

    data, _, classes = read_labelled(path, path, text=text or "text", text_pair=text_pair, label=label)
    pairs = None if data.pairs is None else list(data.pairs)
    return list(data.texts), pairs, [classes[number] for number in data.labels]


def show(found: "TangentResult", title: str) -> None:
    """Print a row for each linear map and phase, in 80 columns."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    sampled = max((len(site.steps) for site in found.sites), default=0)
    head = f"{title} ({found.architecture}): {found.seen} steps, {sampled} sampled after the fit"
    console.print(Text(plain(head), style="bold"))
    console.print(_table(found))
    console.print(
        "ratio: energy over that of normal frames. shuffled, excess: over that of\n"
        "shuffled gradients, over its share of the variance; 1 is mechanical.\n"
        "Delta: gain of IsoScore* without the proxy. p: median over the steps.\n",
        style="dim",
    )
    console.print(_controls(found))
    console.print(
        "Share of the energy over all sampled steps, in as many directions: those of\n"
        "the proxy, random and normal frames, the next principal directions, the first\n"
        "uncentered ones, the proxy of another run. Intervals: in the report, the JSON.",
        style="dim",
    )
    for note in (*found.notes, *(f"{site.module}: {site.note}" for site in found.sites if site.note)):
        console.print(Text.assemble(("note: ", "yellow"), plain(note)))


def _table(found: "TangentResult") -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("linear map", overflow="fold")
    table.add_column("phase", no_wrap=True)
    for name in ("ratio", "shuffled", "excess", "Delta", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for site in found.sites:
        for name in PHASES:
            phase = site.phase(name)
            cells = [Text(plain(site.module) if name == "all" else ""), Text(name)]
            means = (phase.ratio, phase.over_shuffled, phase.over_variance, phase.delta)
            cells += [Text(_number(mean)) for mean in means]
            cells += [Text("-" if phase.p is None else f"{phase.p:.3f}"), Text(SHORT[phase.verdict])]
            table.add_row(*cells)
    return table


def _controls(found: "TangentResult") -> "Table":
    """Return the energies in the proxy and in all other directions: means over the sampled steps."""
    from statistics import fmean

    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from conescope.cli.tables import number

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("linear map", overflow="fold")
    for name in ("proxy", "random", "normal", "next", "uncentered", "other"):
        table.add_column(name, justify="right", no_wrap=True)
    for site in found.sites:
        phase = site.phase("all")
        normal = number(fmean(step.normal for step in site.steps)) if site.steps else "-"
        cells = [_number(phase.energy), _number(phase.random), normal]
        cells += [_number(mean) for mean in (phase.following, phase.uncentered, phase.other)]
        table.add_row(Text(plain(site.module)), *map(Text, cells))
    return table


def _number(mean: "Mean") -> str:
    from conescope.cli.tables import number

    return "-" if mean.value is None else number(mean.value)
