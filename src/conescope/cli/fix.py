"""`conescope fix fit` and `conescope fix apply`: fixes of finished embeddings, kept in files."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from conescope.cli.reading import AsJson, Column, plain, reading_progress

fix = typer.Typer(
    help="Fit a fix of finished embeddings (centering, whitening, ...), and apply it to files.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Files = Annotated[
    list[str], typer.Argument(metavar="FILE", help="Points: files, folders or patterns, as for measure.")
]


@fix.command()
def fit(
    files: Files,
    kind: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="centering, standardizing, whitening, all-but-the-top or cluster-all-but-the-top.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FIX.safetensors", help="Where the fix is written.")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting, such as shrinkage=oas, n_components=64 or kind=zca; repeat for more.",
        ),
    ] = None,
    column: Column = None,
    as_json: AsJson = False,
) -> None:
    """Fit a fix to points in files, in one pass of bounded memory; only clusters hold all points.

    For example: conescope fix fit corpus.npy --kind whitening --set shrinkage=oas -o fix.safetensors
    """
    from conescope.scale import open_shards
    from conescope.transforms import KINDS, fit_files

    if output.suffix != ".safetensors":
        raise ValueError(f"a fix is written to a file that ends in .safetensors, got {output}")
    if kind not in KINDS:
        raise ValueError(f"--kind must be one of {', '.join(KINDS)}, got {kind!r}")
    chosen = KINDS[kind]()
    given = _settings(settings or [])
    unknown = sorted(set(given) - set(chosen.get_params()))
    if unknown:
        known = ", ".join(chosen.get_params()) or "none"
        raise ValueError(f"{kind} has no setting {unknown[0]!r}; its settings: {known}")
    chosen.set_params(**given)
    with reading_progress() as advance:
        fit_files(chosen, open_shards(files, column=column), advance=advance)
    chosen.save(output)
    told = {
        "output": str(output),
        "kind": kind,
        "settings": chosen.get_params(),
        "rows": int(chosen.n_samples_seen_),
        "dimensions": int(chosen.n_features_in_),
    }
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    where = plain(str(output))
    typer.echo(
        f"{where}: {kind}, fitted to {told['rows']} points in {told['dimensions']} dimensions; apply it with "
        f"conescope fix apply {where} FILE -o OUT.npy",
        err=True,
    )


@fix.command()
def apply(
    fitted: Annotated[Path, typer.Argument(metavar="FIX.safetensors", help="A fix of conescope fix fit.")],
    files: Files,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT.npy", help="Where the fixed points are written.")
    ],
    column: Column = None,
    as_json: AsJson = False,
) -> None:
    """Apply a fix to points in files, block by block; the output is written whole or not at all.

    For example: conescope fix apply fix.safetensors corpus.npy -o fixed.npy
    """
    from conescope.scale import open_shards
    from conescope.transforms import apply_to_files, load_fix

    loaded = load_fix(fitted)
    with reading_progress() as advance:
        written = apply_to_files(loaded, open_shards(files, column=column), output, advance=advance)
    if as_json:
        told = {
            "output": str(written.path),
            "rows": written.rows,
            "dimensions": written.d,
            "dtype": written.dtype,
            "kind": loaded.kind_name,
            "settings": loaded.get_params(),
        }
        typer.echo(json.dumps(told, indent=2))
        return
    typer.echo(
        f"{plain(str(written.path))}: {written.rows} points in {written.d} dimensions, {written.dtype}, "
        f"after {loaded.kind_name}",
        err=True,
    )


def _settings(given: list[str]) -> dict[str, Any]:
    """Return settings by name; values are numbers, null, or words."""
    found: dict[str, Any] = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign or not name:
            raise ValueError(f"--set takes NAME=VALUE, such as shrinkage=oas, got {one!r}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = None if value == "None" else value
    return found
