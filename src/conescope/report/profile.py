"""The page of a profile, or of several: a model and its untrained twin, many models, the steps of one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conescope._files import write_text
from conescope.report.drawing import Figure
from conescope.report.drawn_layers import Line, called, depths_differ, is_series, lines, measures_of, names_of
from conescope.report.heatmaps import cells_figure, steps_figure
from conescope.report.html import _render
from conescope.report.layers import COMPANIONS, measure_figure
from conescope.report.seen import against, bounds, health, seen
from conescope.report.tables import Row, data
from conescope.report.wording import decimals, meaning, number, spoken
from conescope.results import MeasuredValue, Profile
from conescope.results.profile import Layer

OPEN = 2  # tables that stand open; more are behind their titles


def profile_html(profiles: Profile | Sequence[Profile]) -> str:
    """Return the page of one profile or several as one HTML document that needs nothing else.

    Profiles that each have a step of their own are drawn as a series too, layer by step.

    Raises:
        ImportError: if plotly or jinja2 is missing.
        ValueError: for no profile, or one without a layer.
    """
    return _render("profile.html", profile_page([profiles] if isinstance(profiles, Profile) else profiles))


def write_profile(profiles: Profile | Sequence[Profile], path: str | Path) -> None:
    """Write the page of one profile or several to a file, whole or not at all; errors as `profile_html`."""
    write_text(path, profile_html(profiles))


def profile_page(profiles: Sequence[Profile]) -> dict[str, Any]:
    """Return everything the template profile.html needs."""
    if not profiles:
        raise ValueError("a page of profiles needs one profile or more, got none")
    for profile in profiles:
        if not profile.layers:
            raise ValueError(f"the profile of {profile.title!r} has no layers, so there is nothing to draw")
    series = is_series(profiles)
    if series:
        profiles = sorted(profiles, key=lambda profile: profile.step or 0)
    drawn = lines(profiles)
    said = [
        (line.name, " ".join(sentences))
        for line, (profile, stack) in zip(drawn, _stacks(profiles), strict=True)
        if (sentences := seen(profile, stack))
    ]
    about, headline = said.pop(-1 if series else 0) if said else ("", "")
    figures = [measure_figure(profiles), cells_figure(profiles)]
    measures = measures_of(profiles)
    return {
        "title": _title(profiles),
        "headline": headline,
        "about": about if len(drawn) > 1 else "",
        "others": said,
        "against": _against(profiles),
        "facts": _shared_facts(profiles),
        "figures": [*figures, *([steps_figure(profiles)] if series else [])],
        "series": series,
        "groups": _groups(figures[0], drawn, len(measures)),
        "legend": [(line.name, line.color, line.opacity, _swatch(line), line.group) for line in drawn],
        "dashed": [spoken(name) for name in COMPANIONS.values() if name in measures],
        "notes": list(dict.fromkeys(note for profile in profiles for note in profile.notes)),
        "tables": [_table(line) for line in drawn],
        "open": OPEN,
        "glossary": [(spoken(name), meaning(name)) for name in measures if meaning(name)],
    }


def _title(profiles: Sequence[Profile]) -> str:
    titles = list(dict.fromkeys(profile.title for profile in profiles))
    return titles[0] if len(titles) == 1 else f"{titles[0]} and {len(titles) - 1} more"


def _stacks(profiles: Sequence[Profile]) -> list[tuple[Profile, str]]:
    return [(profile, stack) for profile in profiles for stack in profile.stacks()]


def _against(profiles: Sequence[Profile]) -> list[str]:
    """Return how profiles differ from the first one, as far as they can be compared at all."""
    if len(profiles) < 2:
        return []
    from conescope.profile.side_by_side import compare_profiles  # here, so that others load without torch

    try:
        return against(compare_profiles(*profiles, names=names_of(profiles)))
    except ValueError:  # no stack, layer or measure in common
        return []


def _shared_facts(profiles: Sequence[Profile]) -> list[str]:
    """Return the facts of each profile, or once what holds for all."""
    facts = [_facts(profile) for profile in profiles]
    if len(set(facts)) == 1:
        return facts[:1]
    return [f"{name}: {fact}" for name, fact in zip(names_of(profiles), facts, strict=True)]


def _facts(profile: Profile) -> str:
    special = "with special tokens" if profile.special_tokens else "without special tokens"
    sizes = list(dict.fromkeys(str(layer.measurement.d) for layer in profile.layers))
    parts = [profile.architecture, profile.modality, f"{profile.inputs} inputs", f"pooling {profile.pooling}"]
    parts += [special] if profile.modality == "text" else []
    parts += [f"{' or '.join(sizes)} dimensions", f"seed {profile.seed}"]
    return ", ".join([*parts, *(["untrained"] if profile.untrained else [])])


def _groups(figure: Figure, drawn: Sequence[Line], measures: int) -> list[tuple[str, list[tuple[int, str]]]]:
    """Return the entries of the chooser: those by layer, and those by relative depth."""
    entries = [(number, view.label) for number, view in enumerate(figure.views)]
    if not depths_differ(drawn):
        return [("", entries)]
    return [("by layer", entries[:measures]), ("by relative depth", entries[measures:])]


def _swatch(line: Line) -> str:
    return line.symbol if line.symbol in ("circle", "diamond") else "square"


def _table(line: Line) -> Row:
    """Return the table of a stack: a row a layer, a column a measure, and the tables of its layers."""
    names = [value.name for value in line.layers[0].measurement.values]
    columns = {name: [layer.measurement.measured(name) for layer in line.layers] for name in names}
    places = {name: _decimals(values) for name, values in columns.items()}
    return {
        "name": line.name,
        "final": line.layers[-1].kind == "final",
        "measures": [spoken(name) for name in names],
        "healthy": [_shared(values) for values in columns.values()],
        "rows": [
            {
                "layer": called(layer),
                "module": layer.module,
                "constant": layer.constant,
                "n": layer.measurement.n,
                "cells": [_cell(layer, layer.measurement.measured(name), places[name]) for name in names],
            }
            for layer in line.layers
        ],
        "notes": _notes(line.layers),
        "details": [
            (called(layer), table.name, table.columns, [[_entry(cell) for cell in row] for row in table.rows])
            for layer in line.layers
            for table in layer.tables
        ],
    }


def _decimals(values: Sequence[MeasuredValue]) -> int:
    return decimals(max((abs(value.value) for value in values if value.value is not None), default=0.0))


def _shared(values: Sequence[MeasuredValue]) -> str:
    """Return the healthy range of a column, where all of its layers have the same one."""
    ranges = {bounds(value) for value in values if value.value is not None}
    return ranges.pop() if len(ranges) == 1 else ""


def _cell(layer: Layer, value: MeasuredValue, places: int) -> Row:
    known = value.low is not None and value.high is not None
    return {
        "value": data(value.value, places),
        "low": data(value.low, places) if known else None,
        "high": data(value.high, places) if known else None,
        "undefined": "constant" if layer.constant else "undefined" if value.value is None else "",
        "outside": health(value) == "outside",
        "note": value.note,
    }


def _notes(layers: Sequence[Layer]) -> list[str]:
    """Return what is said of measures and layers, each with the layers that it is said of."""
    said: dict[str, list[str]] = {}
    for layer in layers:
        texts = [
            f"{spoken(v.name)}: {v.note}" for v in layer.measurement.values if v.note and not layer.constant
        ]
        for text in dict.fromkeys([*layer.measurement.notes, *texts]):
            said.setdefault(text, []).append(called(layer))
    everywhere = len(layers)
    return [
        text if len(depths) == everywhere else f"{text} (layer {', '.join(depths)})"
        for text, depths in said.items()
    ]


def _entry(cell: str | float | None) -> str:
    return cell if isinstance(cell, str) else number(cell)
