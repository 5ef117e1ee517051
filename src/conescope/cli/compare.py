"""`conescope compare A B ...`: the same measures of several spaces, and what differs beyond noise."""

from typing import TYPE_CHECKING, Annotated

import typer

from conescope.cli.reading import (
    AsJson,
    Column,
    Labels,
    Names,
    Precise,
    Sample,
    Seed,
    computing_progress,
    plain,
)

if TYPE_CHECKING:
    from rich.table import Table

    from conescope.results import Comparison
    from conescope.results.profile import Layer
    from conescope.results.profiles import ComparedLayer, ProfileComparison


def compare(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="SPACE",
            help="Spaces, two or more: each a file, folder or pattern of points, a .state file, or the JSON "
            "of `conescope measure --json`. Or profile.json files of `conescope layers`, two or more.",
        ),
    ],
    column: Column = None,
    labels: Labels = None,
    names: Names = None,
    sample: Sample = 2048,
    seed: Seed = 0,
    double: Precise = False,
    as_json: AsJson = False,
) -> None:
    """Compare embedding spaces, or profiles of layers: what differs from the first one, beyond noise.

    For example: conescope compare before.npy after.npy --measure mean_cosine --measure isoscore
    """
    from conescope.survey import compare as comparison_of
    from conescope.survey.compare import is_profile

    if is_profile(files[0]):
        from conescope.profile.side_by_side import compare_profiles

        if column or labels:
            raise ValueError(
                "--column and --labels are for points; a profile is of layers, so leave them out"
            )
        profiles = compare_profiles(*files, measures=names)
        if as_json:
            typer.echo(profiles.model_dump_json(indent=2))
        else:
            show_profiles(profiles)
        return
    with computing_progress() as stage:
        found = comparison_of(
            *files,
            measures=names,
            column=column,
            labels=labels,
            sample=sample,
            seed=seed,
            precision="double" if double else None,
            stage=stage,
        )
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show(found)


def show(found: "Comparison") -> None:
    """Print a comparison: a line for each space, tables of values, and notes."""
    from rich.console import Console
    from rich.text import Text

    from conescope.cli.tables import compared_tables

    console = Console(highlight=False)
    for name, space in found.spaces.items():
        verdict = "; ".join(finding.title for finding in space.findings)
        title = f"{name}: {space.n} points in {space.d} dimensions" + (f": {verdict}" if verdict else "")
        console.print(Text(plain(title), style="bold"))
    for table in compared_tables(found, console.width):
        console.print()
        console.print(table)
    console.print()
    first = plain(next(iter(found.spaces)))
    legend = f"against {first}: ^ higher, v lower, = within noise, ? no interval tells"
    console.print(Text(legend, style="dim"))
    for note in found.notes:
        console.print()
        console.print(Text.assemble(("note: ", "yellow"), plain(note)))


def show_profiles(found: "ProfileComparison") -> None:
    """Print a comparison of profiles: for each profile and stack a table a measure, and notes."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    first, *others = found.profiles
    for space in others:
        title = f"{space} against {first}"
        for stack in dict.fromkeys(layer.stack for layer in found.of(space)):
            console.print(Text(plain(f"{title}: {stack}" if stack else title), style="bold"))
            for name in found.names():
                console.print()
                console.print(Text(plain(name), style="italic"))
                console.print(_layers_table(found, space, found.of(space, stack), name))
            console.print()
    console.print(Text("^ higher, v lower, = within noise, ? no interval tells", style="dim"))
    for note in found.notes:
        console.print()
        console.print(Text.assemble(("note: ", "yellow"), plain(note)))


def _layers_table(
    found: "ProfileComparison", space: str, layers: "tuple[ComparedLayer, ...]", name: str
) -> "Table":
    """Return a measure of two profiles, layer by layer, and their difference with its interval."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from conescope.cli.tables import _sign, number, shown

    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    for head in ("layer", "first", "other", "difference", "95 % interval", ""):
        table.add_column(head, justify="left" if not head else "right", no_wrap=True)
    ours = next(iter(found.profiles.values()))
    for layer in layers:
        one = ours.layer(layer.depth, layer.stack)
        other = found.profiles[space].layer(layer.other_depth, layer.other_stack)
        compared = layer.difference(name)
        ends = compared.low, compared.high
        cells = [
            _place(one, other),
            *(shown(each.measurement.measured(name)) for each in (one, other)),
            number(compared.difference),
            "" if None in ends else f"{number(ends[0])} {number(ends[1])}",
            _sign(compared),
        ]
        style = "bold" if compared.outcome in ("higher", "lower") else "dim"
        table.add_row(*(Text(cell, style=style) for cell in cells))
    return table


def _place(one: "Layer", other: "Layer") -> str:
    """Return the depth of a layer, or of both where they differ."""
    depth = str(one.depth) if one.depth == other.depth else f"{one.depth} : {other.depth}"
    return f"{depth} final" if one.kind == "final" else depth
