"""`conescope check FILE --max NAME=VALUE --min NAME=VALUE`: a gate for continuous integration."""

import math
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from conescope.cli.reading import (
    AsJson,
    Column,
    Labels,
    Partners,
    Precise,
    Sample,
    Seed,
    Where,
    scanned,
)

if TYPE_CHECKING:
    from conescope.results import MeasuredValue


class Bound(NamedTuple):
    """A bound of a measure. It holds for a value that is equal to it, and for no undefined one."""

    kind: str  # max or min
    name: str
    value: float

    def holds(self, measured: "MeasuredValue") -> bool:
        """Return whether a measured value keeps it."""
        if measured.value is None:
            return False
        return measured.value <= self.value if self.kind == "max" else measured.value >= self.value


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
    partners: Partners = None,
    sample: Sample = 2048,
    seed: Seed = 0,
    double: Precise = False,
    as_json: AsJson = False,
) -> None:
    """Check bounds of measures. Exit code 0: all hold; 1: one fails or is undefined; 2: bad input.

    For example: conescope check vectors.npy --max mean_cosine=0.4 --min effective_rank=60
    """
    import json

    from conescope.survey.inputs import pairs_of_files
    from conescope.survey.measurement import measurement
    from conescope.survey.reading import whole

    bounds = [_bound("max", text) for text in most or []] + [_bound("min", text) for text in least or []]
    if not bounds:
        raise ValueError("a check needs a bound, such as --max mean_cosine=0.4 or --min effective_rank=60")
    read, rows = scanned(
        files,
        [bound.name for bound in bounds],
        column=column,
        labels=labels,
        partners=partners,
        sample=sample,
        seed=seed,
        double=double,
    )
    state = whole(read)
    pairs = None if partners is None else pairs_of_files(files, partners, column)
    found = measurement(state, rows, partners=pairs, seed=seed, intervals=False, null=False)
    outcomes = [(bound, found.measured(bound.name)) for bound in bounds]
    passed = all(bound.holds(measured) for bound, measured in outcomes)
    if as_json:
        said = [
            {
                "measure": bound.name,
                bound.kind: bound.value,
                "value": measured.value,
                "holds": bound.holds(measured),
                "note": measured.note,
            }
            for bound, measured in outcomes
        ]
        typer.echo(json.dumps({"passed": passed, "bounds": said, "n": found.n, "d": found.d}, indent=2))
    else:
        for bound, measured in outcomes:
            typer.echo(_told(bound, measured))
    for finding in found.findings:
        if finding.level in ("collapsed", "unknown"):
            typer.echo(f"note: {finding.title}: {finding.evidence}", err=True)
    if not passed:
        raise typer.Exit(1)


def _bound(kind: str, text: str) -> Bound:
    name, _, value = text.partition("=")
    try:
        bound = float(value)
    except ValueError:
        bound = math.nan
    if not name.strip() or not math.isfinite(bound):
        raise ValueError(
            f"--{kind} takes NAME=VALUE with a finite number, such as mean_cosine=0.4; got {text!r}"
        )
    return Bound(kind, name.strip(), bound)


def _told(bound: Bound, measured: "MeasuredValue") -> str:
    note = f" ({measured.note})" if measured.note else ""
    if measured.value is None:
        shown = "undefined"
    else:  # rounded, unless that would fall on the other side of the bound
        shown = f"{measured.value:.6g}"
        rounded = measured.model_copy(update={"value": float(shown)})
        if bound.holds(rounded) != bound.holds(measured):
            shown = repr(measured.value)
    word = {"max": "at most", "min": "at least"}[bound.kind]
    verdict = "ok  " if bound.holds(measured) else "FAIL"
    return f"{verdict} {bound.name} is {shown}{note}, must be {word} {bound.value:.15g}"
