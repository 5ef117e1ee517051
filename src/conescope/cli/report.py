"""`conescope report`: draw the page of a stored result."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

DRAWN = (
    "ablation",
    "barcode",
    "bias_drift",
    "finetuning",
    "perturbation",
    "profile",
    "tangent",
    "trajectory",
)


def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT",
            help="The JSON that a command wrote: result.json (finetune, demo), ablation.json, "
            "perturbation.json, tangent.json or trajectory.json (dynamics; both are read), bias drift, "
            "a barcode, or profile.json files (layers), one or more.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML file to write.")] = Path(
        "report.html"
    ),
) -> None:
    """Draw a result, or profiles side by side, as one HTML file that works offline."""
    kinds = [_kind(path) for path in results]
    if kinds == ["profile"] * len(results):
        from conescope.profile.side_by_side import stored_profile
        from conescope.report import write_profile

        write_profile([stored_profile(path) for path in results], output)
    elif set(kinds) <= {"tangent", "trajectory"} and _one_training(kinds, results):
        _draw_dynamics(dict(zip(kinds, results, strict=True)), output)
    elif len(results) > 1:
        odd = next(path for path, kind in zip(results, kinds, strict=True) if kind != "profile")
        raise ValueError(
            f"one report shows one result, or profiles: {odd} is no profile, got {len(results)} files"
        )
    else:
        _draw(kinds[0], results[0], output)
    typer.echo(f"Report: {output}")


def _kind(path: Path) -> str:
    """Return what a file holds, by the name of its schema."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as missing:
        raise FileNotFoundError(f"no file {path}") from missing
    except IsADirectoryError as folder:
        raise ValueError(f"{path} is a folder; give the JSON file in it") from folder
    except ValueError as problem:
        raise ValueError(
            f"{path} is not a result of this version of conescope: no JSON ({problem})"
        ) from problem
    schema = str(found.get("schema_version", "none")) if isinstance(found, dict) else "none"
    return schema.removeprefix("conescope.").partition("/")[0]


def _draw(kind: str, path: Path, output: Path) -> None:
    from conescope import report, results

    if kind not in DRAWN:
        raise ValueError(
            f"{path} is not a result of this version of conescope that has a page (schema: {kind}); "
            f"there are {', '.join(DRAWN)}"
        )

    model, write = {
        "ablation": (results.Ablation, report.write_ablation),
        "barcode": (results.Barcode, report.write_barcode),
        "bias_drift": (results.BiasDrift, report.write_bias_drift),
        "finetuning": (results.FineTuning, report.write_report),
        "perturbation": (results.Perturbation, report.write_perturbation),
    }[kind]
    write(_read(model, path), output)  # type: ignore[operator]


def _one_training(kinds: list[str], paths: list[Path]) -> bool:
    return len(set(kinds)) == len(kinds) and len({path.parent for path in paths}) == 1


def _draw_dynamics(given: dict[str, Path], output: Path) -> None:
    """Draw the two files of a training; the one that is not given is looked for beside the other."""
    from conescope.report import write_dynamics
    from conescope.results import TangentResult, Trajectory

    folder = next(iter(given.values())).parent
    both = {kind: given.get(kind, folder / f"{kind}.json") for kind in ("tangent", "trajectory")}
    for path in both.values():
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}, which belongs to the page of a training")
    tangent = _read(TangentResult, both["tangent"])
    write_dynamics(tangent, _read(Trajectory, both["trajectory"]), output)


def _read(model: Any, path: Path) -> Any:
    from pydantic import ValidationError

    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(
            f"{path} is not a result of this version of conescope ({where or 'file'}: {first['msg']}); "
            "give what the command wrote"
        ) from problem
