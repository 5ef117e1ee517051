"""Heatmaps of profiles: layers x measures of one, and layers x steps of a series of checkpoints."""

import math
from collections.abc import Sequence

from conescope.report.drawing import Figure, Json, View, axis, label, layout
from conescope.report.drawn_layers import (
    called,
    lines,
    measure_of,
    measures_of,
    y_of,
)
from conescope.report.seen import bounds, valued
from conescope.report.wording import spoken
from conescope.results import MeasuredValue, Profile
from conescope.results.profile import Layer

TICKS = 13  # numbers on the axis of layers, at most
ROW = 26  # pixels of a row of a heatmap
CELLS = "Cividis"  # reads the same in light and dark, and for the color-blind


def cells_figure(profiles: Sequence[Profile]) -> Figure:
    """Return layers x measures as a heatmap, each measure from its lowest value to its highest."""
    views = []
    for line in lines(profiles):
        names = [value.name for value in line.layers[0].measurement.values] if line.layers else []
        rows = [[measure_of(layer, name) for layer in line.layers] for name in names]
        trace = {
            **_heat(),
            "x": list(range(len(line.layers))),
            "y": list(range(len(names))),
            "z": [_scaled(row) for row in rows],
            "zmin": 0,
            "zmax": 1,
            "customdata": [
                [_hover(name, layer, value) for layer, value in zip(line.layers, row, strict=True)]
                for name, row in zip(names, rows, strict=True)
            ],
        }
        trace["colorbar"] |= {"tickvals": [0.08, 0.92], "ticks": "", "ticktext": ["lowest", "highest"]}
        ticks = _ticks([called(layer) for layer in line.layers])
        looks: Json = {
            "xaxis": ticks,
            "yaxis": {
                "tickvals": list(range(len(names))),
                "ticktext": [label(spoken(name)) for name in names],
                "autorange": "reversed",
            },
            "height": len(names) * ROW + 110,
        }
        alt = f"{line.name}: {len(names)} measures in {len(line.layers)} layers, each on a scale of its own."
        views.append(View(line.name, alt, [trace], looks))
    return Figure("cells", "Layers and measures", _heat_layout("layer"), views)


def steps_figure(profiles: Sequence[Profile]) -> Figure:
    """Return layer x step of a series of checkpoints as a heatmap, a view for each measure and stack."""
    ordered = sorted(profiles, key=lambda profile: profile.step or 0)
    stacks = list(dict.fromkeys(stack for profile in ordered for stack in profile.stacks()))
    views = []
    for name in measures_of(ordered):
        for stack in stacks:
            held = [profile.of(stack) if stack in profile.stacks() else () for profile in ordered]
            places = {layer.depth: called(layer) for layers in held for layer in layers}
            rows = [
                [next((layer for layer in layers if layer.depth == depth), None) for layers in held]
                for depth in sorted(places)
            ]
            values = [[measure_of(layer, name) if layer else None for layer in row] for row in rows]
            trace = {
                **_heat(),
                "x": list(range(len(ordered))),
                "y": list(range(len(rows))),
                "z": [[y_of(value.value if value else None) for value in row] for row in values],
                "customdata": [
                    [
                        f"{_hover(name, layer, value)}<br>step {profile.step}" if layer else ""
                        for layer, value, profile in zip(row, found, ordered, strict=True)
                    ]
                    for row, found in zip(rows, values, strict=True)
                ],
            }
            heads = _ticks([places[depth] for depth in sorted(places)])
            looks: Json = {
                "xaxis": _ticks([str(profile.step) for profile in ordered]),
                "yaxis": heads,
                "height": min(max(len(rows) * ROW + 110, 240), 640),
            }
            called_ = f"{spoken(name)}, {stack}" if len(stacks) > 1 else spoken(name)
            alt = f"{called_} in {len(rows)} layers at {len(ordered)} steps."
            views.append(View(called_, alt, [trace], looks))
    look = _heat_layout("step")
    look["yaxis"]["title"]["text"] = "layer"
    return Figure("steps", "Over the training", look, views)


def _ticks(texts: Sequence[str]) -> Json:
    stride = max(math.ceil(len(texts) / TICKS), 1)
    shown = list(range(0, len(texts), stride))
    last = len(texts) - 1
    if shown and shown[-1] != last and texts[last] == "final":
        shown = [place for place in shown if last - place >= stride] + [last]
    return {"tickvals": shown, "ticktext": [label(texts[place]) for place in shown]}


def _heat() -> Json:
    return {
        "type": "heatmap",
        "colorscale": CELLS,
        "xgap": 1,
        "ygap": 1,
        "hovertemplate": "%{customdata}<extra></extra>",
        "colorbar": {
            "orientation": "h",
            "y": 1,
            "yanchor": "bottom",
            "thickness": 8,
            "outlinewidth": 0,
            "tickfont": {"size": 11, "color": "var(--muted)"},
        },
    }


def _heat_layout(title: str) -> Json:
    look = layout(axis(title), axis())
    for one in ("xaxis", "yaxis"):
        look[one] |= {"showgrid": False}
    look["plot_bgcolor"] = "var(--rule)"
    look["margin"] = {"l": 8, "r": 8, "t": 44, "b": 44}
    return look


def _scaled(row: Sequence[MeasuredValue | None]) -> list[float | None]:
    known = [value.value for value in row if value and value.value is not None and math.isfinite(value.value)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    return [
        None
        if value is None or value.value is None or not math.isfinite(value.value)
        else round((value.value - low) / (high - low), 4)
        if high > low
        else 0.5
        for value in row
    ]


def _hover(name: str, layer: Layer, value: MeasuredValue | None) -> str:
    """Return the lines of a hover box: escaped, with the healthy range where there is one."""
    said = [f"{label(spoken(name))}, layer {called(layer)}"]
    if value is None:
        return f"{said[0]}<br>not measured"
    said.append("constant" if layer.constant else label(valued(value)))
    if bounds(value):
        said.append(f"healthy: {label(bounds(value))}")
    return "<br>".join(said)
