"""`conescope check FILE --max NAME=VALUE --min NAME=VALUE`: a gate for continuous integration."""

import math
from typing import Annotated

import typer

from conescope.cli.reading import (
    AsJson,
    Column,
    Labels,
    Precise,
    Sample,
    Seed,
    Where,
    reading_progress,
)


def check(
    files: Where,
    most: Annotated[
        list[str] | None,
        typer.Option("--max", metavar="NAME=VALUE", help="The most a measure may be; repeat for more."),
    ] = None,
    least: Annotated[
        list[str] | None,
        typer.Option("--min", metavar="NAME=VALUE", help="The least a measure may be; repeat for more."),
    ] = None,
    column: Column = None,
    labels: Labels = None,
    sample: Sample = 4096,
    seed: Seed = 0,
    double: Precise = False,
    as_json: AsJson = False,
) -> None:
    """Check bounds of measures. Exit code 0: all hold; 1: one fails or is undefined; 2: bad input."""
    import json

    from conescope.survey.measurement import measurement
    from conescope.survey.reading import read, whole
    from conescope.survey.rows import chosen

    bounds = [("max", *_bound("--max", text)) for text in most or []]
    bounds += [("min", *_bound("--min", text)) for text in least or []]
    if not bounds:
        raise ValueError("a check needs a bound, such as --max mean_cosine=0.4 or --min effective_rank=60")
    names = [name for _, name, _ in bounds]
    rows = chosen(names, labels=True, partners=False)
    if labels is None and not all(file.endswith(".state") for file in files):
        chosen(names, labels=False, partners=False)  # says which measure needs them
    with reading_progress() as advance:
        scanned = read(
            files,
            rows,
            column=column,
            labels=labels,
            sample=sample,
            seed=seed,
            precision="double" if double else None,
            advance=advance,
        )
    found = measurement(whole(scanned), rows, seed=seed, intervals=False, null=False)
    outcomes = []
    for kind, name, bound in bounds:
        measured = found.measured(name)
        value = measured.value
        holds = value is not None and (value <= bound if kind == "max" else value >= bound)
        outcomes.append({"measure": name, kind: bound, "value": value, "holds": holds, "note": measured.note})
    passed = all(outcome["holds"] for outcome in outcomes)
    if as_json:
        typer.echo(json.dumps({"passed": passed, "bounds": outcomes, "n": found.n, "d": found.d}, indent=2))
    else:
        for (kind, name, bound), outcome in zip(bounds, outcomes, strict=True):
            value = found.measured(name).value
            shown = f"undefined ({outcome['note']})" if value is None else f"{value:.6g}"
            word = "at most" if kind == "max" else "at least"
            typer.echo(
                f"{'ok  ' if outcome['holds'] else 'FAIL'} {name} is {shown}, must be {word} {bound:g}"
            )
        for finding in found.findings:
            if finding.level in ("collapsed", "unknown"):
                typer.echo(f"note: {finding.title}: {finding.evidence}", err=True)
    if not passed:
        raise typer.Exit(1)


def _bound(option: str, text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        bound = float(value)
    except ValueError:
        bound = math.nan
    if not name or math.isnan(bound):
        raise ValueError(f"{option} takes NAME=VALUE with a number, such as mean_cosine=0.4; got {text!r}")
    return name.strip(), bound
