"""`conescope predict TABLE`: a score from numbers about models, with errors on rows held out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conescope.cli.reading import AsJson, Seed, plain

if TYPE_CHECKING:
    from rich.table import Table

    from conescope.results import Predicted, Prediction
    from conescope.results.prediction import Association, Errors

KINDS = ("linear", "rank")


def predict(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE", help="A .csv with a row a model; or a .json of -o, to apply it to another table."
        ),
    ],
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="The score to predict.")] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(metavar="A,B,...", help="Columns to predict from, with commas; or repeat the option."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Names of groups; each gets a constant of its own."),
    ] = None,
    hold_out: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Names; rows of one are held out together. The groups else."),
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="A dose that both may follow, to be taken out of correlations."),
    ] = None,
    draws: Annotated[int, typer.Option(min=1, metavar="N", help="Shuffled targets, to show chance.")] = 999,
    seed: Seed = 0,
    other: Annotated[
        Path | None, typer.Option("--apply", metavar="OTHER.csv", help="Predict the rows of this table.")
    ] = None,
    truth: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The score in OTHER.csv, where it is called otherwise."),
    ] = None,
    kind: Annotated[
        str, typer.Option(metavar="KIND", help="The regression to apply: linear or rank.")
    ] = "linear",
    unknown_groups: Annotated[
        str,
        typer.Option(
            metavar="RULE", help="Groups in OTHER.csv that are not in TABLE: refuse, or mean of all groups."
        ),
    ] = "refuse",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="MODEL.json", help="Where the model goes.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Predict a score from columns of a table, and say how far to trust that.

    For example: conescope predict models.csv --target glue --features patchiness,eee --control alpha
    """
    from conescope._files import write_text
    from conescope.predict import apply
    from conescope.predict import predict as prediction_of

    if kind not in KINDS:
        raise ValueError(f"--kind must be linear or rank; got {kind!r}")
    if unknown_groups not in ("refuse", "mean"):
        raise ValueError(f"--unknown-groups must be refuse or mean; got {unknown_groups!r}")
    stored = table.suffix == ".json"
    if stored:
        given = {"--target": target, "--features": features, "--group": group, "--hold-out": hold_out}
        found = _stored(table, {**given, "--control": control, "-o": output}, other)
    else:
        if target is None or not features:
            raise ValueError(f"{table} needs --target with one column and --features with one or more")
        chosen = [name.strip() for text in features for name in text.split(",") if name.strip()]
        found = prediction_of(
            table,
            target=target,
            features=chosen,
            group=group,
            hold_out=hold_out,
            control=control,
            draws=draws,
            seed=seed,
        )
    applied = None
    if other is not None:
        applied = apply(
            found,
            other,
            kind=kind,  # type: ignore[arg-type]
            truth=truth,
            unknown_groups=unknown_groups,  # type: ignore[arg-type]
        )
    if output is not None:
        write_text(output, found.to_json())
    if as_json:
        texts = [] if stored else [found.to_json()]
        texts += [] if applied is None else [applied.to_json()]
        typer.echo(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
        return
    if not stored:
        show(found)
    if applied is not None:
        show_applied(applied)


def _stored(table: Path, given: dict[str, object], other: Path | None) -> "Prediction":
    """Return a model that was written before."""
    from pydantic import ValidationError

    from conescope.results import Prediction

    needless = next((option for option, value in given.items() if value), None)
    if needless is not None:
        raise ValueError(f"{table} is a fitted model, and {needless} is for fitting one: leave it out")
    if other is None:
        raise ValueError(f"{table} is a fitted model: name the table to apply it to with --apply")
    try:
        return Prediction.model_validate_json(table.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as problem:
        raise ValueError(
            f"{table} must be a model that `conescope predict -o` wrote, but is not one: fit it again"
        ) from problem


def show(found: "Prediction") -> None:
    """Print both regressions, the correlations, rows left out, and notes."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    head = f"{found.target} from {', '.join(found.features)}: {found.rows} rows"
    console.print(Text(plain(head), style="bold"))
    for content in (_fits(found), _coefficients(found), _correlations(found.associations)):
        console.print()
        console.print(content)
    if found.left_out:
        console.print()
        told = "; ".join(f"{row.name} ({row.why})" for row in found.left_out)
        console.print(Text(plain(f"{len(found.left_out)} rows left out: {told}"), style="dim"))
    for note in found.notes:
        console.print()
        console.print(Text.assemble(("note: ", "yellow"), plain(note)))


def _grid(*heads: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(heads[0], overflow="fold")
    for head in heads[1:]:
        table.add_column(head, justify="right", overflow="fold")
    return table


def _fits(found: "Prediction") -> "Table":
    """Return fit, chance and held-out errors, with those of the mean in brackets."""
    from conescope.cli.tables import number

    table = _grid("fit", *KINDS)
    both = (found.linear, found.rank)
    table.add_row("R^2", *(number(fit.r2) for fit in both))
    table.add_row("r", *(number(fit.r) for fit in both))
    table.add_row("R^2 by chance, 95 %", *(number(fit.chance.high) for fit in both))
    table.add_row("p of chance", *(number(fit.chance.p) for fit in both))
    table.add_row("error, each row out (mean)", *(_errors(fit.leave_one_out) for fit in both))
    if found.hold_out is not None:
        head = plain(f"error, each {found.hold_out} out (mean)")
        table.add_row(head, *(_errors(fit.leave_group_out) for fit in both))
        for one, other in zip(found.linear.groups_out, found.rank.groups_out, strict=True):
            table.add_row(plain(f"  {one.name}"), _errors(one.errors), _errors(other.errors))
    return table


def _errors(errors: "Errors | None") -> str:
    from conescope.cli.tables import number

    if errors is None or errors.rmse is None:
        return "-"
    return f"{number(errors.rmse)} ({number(errors.baseline_rmse) or '-'})"


def _coefficients(found: "Prediction") -> "Table":
    from conescope.cli.tables import number

    table = _grid("coefficient", "linear", "95 % interval", "p")
    for term in found.linear.coefficients:
        ends = f"{number(term.low)} {number(term.high)}"
        table.add_row(plain(term.name), number(term.value), ends, number(term.p))
    return table


def _correlations(found: "tuple[Association, ...]") -> "Table":
    from conescope.cli.tables import number

    table = _grid("correlation", "given", "r", "95 % interval", "")
    for one in found:
        ends = "" if one.low is None or one.high is None else f"{number(one.low)} {number(one.high)}"
        name = one.feature if one.kind == "linear" else f"{one.feature}, ranks"
        value = "fixed" if one.value is None else number(one.value)
        table.add_row(plain(name), plain(", ".join(one.given)), value, ends, "=" if one.within_noise else "")
    table.caption = "= within noise"
    table.caption_justify = "left"
    return table


def show_applied(found: "Predicted") -> None:
    """Print what is predicted for each row, and how well where that is known."""
    from rich.console import Console
    from rich.text import Text

    from conescope.cli.tables import number

    console = Console(highlight=False)
    table = _grid("row", "predicted", "95 % interval", found.target, "outside of")
    for row in found.rows:
        ends = "" if row.low is None or row.high is None else f"{number(row.low)} {number(row.high)}"
        table.add_row(
            plain(row.name), number(row.predicted), ends, number(row.known), plain(", ".join(row.outside))
        )
    console.print()
    console.print(table)
    if found.errors is not None:
        told = f"error (mean) of {found.errors.rows} rows: {_errors(found.errors)}"
        if found.covered is not None:
            told += f"; {found.covered} are in their interval"
        console.print()
        console.print(Text(told, style="bold"))
    if found.left_out:
        told = "; ".join(f"{row.name} ({row.why})" for row in found.left_out)
        console.print(Text(plain(f"{len(found.left_out)} rows left out: {told}"), style="dim"))
    for note in found.notes:
        console.print(Text.assemble(("note: ", "yellow"), plain(note)))
