"""`conescope layers MODEL --data FILE`: the measures of every layer, as a table, a figure and JSON."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conescope.cli.layer_tables import show, show_drift
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
from conescope.cli.reading import AsJson, Sample, Seed, plain

if TYPE_CHECKING:
    from conescope.results import BiasDrift, Profile

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL",
        help="A folder with a model of transformers, or its name on the hub; several, such as ckpt-*/, are "
        "drawn side by side.",
    ),
]


def layers(
    models: Models,
    data: Data,
    column: DataColumn = None,
    modality: ModalityOf = None,
    pooling: Annotated[
        str,
        typer.Option(
            "--pool", metavar="RULE", help="What is a point: mean, first, last, cls, or tokens (each one)."
        ),
    ] = "mean",
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--measure",
            "--measures",
            metavar="NAME",
            help="A measure, such as isoscore; more by commas, or by repeating.",
        ),
    ] = None,
    special_tokens: Specials = False,
    token_views: Annotated[
        bool,
        typer.Option(
            "--tokens", metavar="", help="Also look at tokens: self-similarity of types, frequency bins."
        ),
    ] = False,
    untrained: Annotated[
        bool,
        typer.Option(
            "--untrained", metavar="", help="Profile the same architecture with fresh weights beside it."
        ),
    ] = False,
    bias_drift: Annotated[
        bool,
        typer.Option(
            "--bias-drift",
            metavar="",
            help="Also feed every block noise with a common bias, and look at what its parts make of it.",
        ),
    ] = False,
    transcripts: Annotated[
        Path | None,
        typer.Option(metavar="FILE.txt", help="What is said in each sound, a line each: for a decoder."),
    ] = None,
    numbers: Annotated[
        list[int] | None,
        typer.Option("--layer", metavar="N", help="A layer; -1 is the last; repeat. All if left out."),
    ] = None,
    blocks: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A module to look behind, where blocks are not found; repeat."),
    ] = None,
    limit: Limit = None,
    batch_size: BatchSize = 32,
    max_length: MaxLength = None,
    device: Device = None,
    sample: Sample = 2048,
    seed: Seed = 0,
    quick: Annotated[bool, typer.Option("--quick", metavar="", help="Values only, no intervals.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="Where profile.json and report.html go, and a run resumes.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the hidden states of a model, layer by layer.

    For example: conescope layers all-MiniLM-L6-v2 --data texts.txt --untrained -o out
    """
    from conescope._optional import require

    require("transformers", extra="hf")
    from conescope.cli.comparing import quiet_transformers
    from conescope.profile import POINTS, profile_layers
    from conescope.profile.series import members

    wanted = [name.strip() for text in names or () for name in text.split(",")] or None
    if pooling not in POINTS:
        raise ValueError(f"--pool must be one of {', '.join(POINTS)}; got {pooling!r}")
    quiet_transformers()
    inputs, kind = inputs_of(data, column, modality, limit)
    spoken = None if transcripts is None else transcripts.read_text(encoding="utf-8").splitlines()[:limit]
    several = len(models) > 1
    weights = [False, True] if untrained else [False]
    found: list[Profile] = []
    drifted: list[BiasDrift] = []
    for (model, name, step), fresh in product(members(models), weights):
        title = f"{name} (untrained)" if fresh else name
        with profiling_progress(title) as (advance, stage):
            profile = profile_layers(
                model,
                inputs,
                pooling=pooling,  # type: ignore[arg-type]
                special_tokens=special_tokens,
                measures=wanted,
                token_views=token_views,
                modality=kind,
                layers=numbers or None,
                blocks=blocks,
                batch_size=batch_size,
                max_length=max_length,
                transcripts=spoken,
                device=device or fastest(),
                sample=sample,
                seed=seed,
                intervals=not quick,
                untrained=fresh,
                step=step,
                path=None if output is None else folder_of(output, name, fresh, several=several),
                title=title,
                advance=advance,
                stage=stage,
            )
        found.append(profile)
        if not as_json:
            show(profile)
        if bias_drift:
            drifted.append(_drifted(model, title, blocks, device, seed, fresh))
            if not as_json:
                show_drift(drifted[-1], title)
    if as_json:
        texts = [profile.to_json() for profile in found] + [drift.to_json() for drift in drifted]
        typer.echo(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
    if output is not None:
        for page in _written(output, found, drifted):
            typer.echo(f"Report: {plain(str(page))}", err=as_json)


def _drifted(
    model: str, title: str, blocks: list[str] | None, device: str | None, seed: int, fresh: bool
) -> "BiasDrift":
    from conescope.profile import bias_drift

    with profiling_progress(f"{title}, common bias") as (advance, _):
        return bias_drift(
            model,
            blocks=blocks,
            device=device or fastest(),
            seeds=(seed, seed + 1, seed + 2),
            untrained=fresh,
            advance=advance,
        )


def _written(output: Path, found: "list[Profile]", drifted: "list[BiasDrift]") -> Iterator[Path]:
    """Write the pages, and yield where they are."""
    from conescope._files import write_text
    from conescope.report import write_bias_drift, write_profile

    write_profile(found, output / "report.html")
    yield output / "report.html"
    for number, drift in enumerate(drifted):
        name = f"bias-drift{f'-{number + 1}' if len(drifted) > 1 else ''}"
        write_text(output / f"{name}.json", drift.to_json())
        write_bias_drift(drift, output / f"{name}.html")
        yield output / f"{name}.html"


def folder_of(output: Path, name: str, fresh: bool, *, several: bool) -> Path:
    """Return where a profile goes: into the folder itself, or below it where there are several."""
    place = output / name if several else output
    return place / "untrained" if fresh else place
