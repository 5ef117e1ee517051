"""`conescope report`: draw the report of a result."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT",
            help="The result.json of `conescope finetune` or `conescope demo`; or profile.json files of "
            "`conescope layers`, one or more.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML file to write.")] = Path(
        "report.html"
    ),
) -> None:
    """Draw a result, or profiles side by side, as one HTML file that works offline."""
    from pydantic import ValidationError

    from conescope.report import write_profile, write_report
    from conescope.results import FineTuning
    from conescope.survey.compare import is_profile

    if is_profile(results[0]):
        from conescope.profile.side_by_side import stored_profile

        write_profile([stored_profile(path) for path in results], output)
        typer.echo(f"Report: {output}")
        return
    result, *more = results
    if more:
        raise ValueError(
            f"one report shows one result, or profiles: {result} is no profile, got {len(results)} files"
        )
    try:
        found = FineTuning.model_validate_json(result.read_bytes())
    except FileNotFoundError as missing:
        raise FileNotFoundError(f"no file {result}") from missing
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(
            f"{result} is not a result of this version of conescope ({where or 'file'}: {first['msg']}); "
            "give the result.json that conescope finetune or demo wrote"
        ) from problem
    write_report(found, output)
    typer.echo(f"Report: {output}")
