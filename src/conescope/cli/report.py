"""`conescope report`: draw the report of a result."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    result: Annotated[
        Path, typer.Argument(help="The result.json of `conescope finetune` or `conescope demo`.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML file to write.")] = Path(
        "report.html"
    ),
) -> None:
    """Draw a result as one HTML file that works offline."""
    from pydantic import ValidationError

    from conescope.report import write_report
    from conescope.results import FineTuning

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
