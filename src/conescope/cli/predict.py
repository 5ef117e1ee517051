"""`conescope predict TABLE`: a score from numbers about models, with errors on rows held out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conescope.cli.reading import AsJson, Seed

if TYPE_CHECKING:
    from conescope.results import Prediction


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
    from conescope.cli.predicting import KINDS, show, show_applied
    from conescope.predict import apply
    from conescope.predict import predict as prediction_of

    if kind not in KINDS:
        raise ValueError(f"--kind must be linear or rank; got {kind!r}")
    if unknown_groups not in ("refuse", "mean"):
        raise ValueError(f"--unknown-groups must be refuse or mean; got {unknown_groups!r}")
    stored = table.suffix == ".json"
    of_other = {"--truth": truth, "--kind": kind != "linear", "--unknown-groups": unknown_groups != "refuse"}
    _refuse_idle(of_other, other)
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


def _refuse_idle(given: Mapping[str, object], other: Path | None) -> None:
    """Raise ValueError for what is said of a table to apply the model to, when there is none."""
    needless = next((option for option, value in given.items() if value), None)
    if other is None and needless is not None:
        raise ValueError(
            f"{needless} is about the table of --apply, and none is given: name it, or leave it out"
        )


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
