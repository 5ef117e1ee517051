"""Figures of profiles: measures against layers, layers x measures, and layers x steps of a training."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from conescope.report.drawing import (
    Figure,
    Json,
    View,
    axis,
    class_color,
    class_symbol,
    label,
    layout,
    rounded,
)
from conescope.report.seen import bounds, valued
from conescope.report.wording import spoken
from conescope.results import MeasuredValue, Profile
from conescope.results.profile import Layer
from conescope.results.profiles import blocks, relative_depth

COMPANIONS = {"mean_cosine": "mean_cosine_centered", "anisotropy_1": "anisotropy_1_uncentered"}
FINAL = 1.07  # where the final normalization stands on the axis of relative depth
TICKS = 13  # numbers on the axis of layers, at most
ROW = 26  # pixels of a row of a heatmap
CELLS = "Cividis"  # reads the same in light and dark, and for the color-blind


class Line(NamedTuple):
    """One stack of one profile: a line in the figure and an entry of the legend."""

    name: str
    group: str
    color: str
    opacity: float
    symbol: str
    layers: tuple[Layer, ...]


def names_of(profiles: Sequence[Profile]) -> list[str]:
    """Return what each profile is called: by its title, what sets it apart, and else a number."""
    steps = len({profile.step for profile in profiles}) > 1
    called = []
    for profile in profiles:
        step = f", step {profile.step}" if steps and profile.step is not None else ""
        untrained = ", untrained" if profile.untrained and "untrained" not in profile.title else ""
        called.append(f"{profile.title}{untrained}{step}")
    return [
        f"{name} ({called[:place].count(name) + 1})" if called.count(name) > 1 else name
        for place, name in enumerate(called)
    ]


def measures_of(profiles: Sequence[Profile]) -> list[str]:
    """Return the measures of all profiles, each once, in the order of the tables."""
    return list(dict.fromkeys(name for profile in profiles for name in profile.names()))


def is_series(profiles: Sequence[Profile]) -> bool:
    """Return whether the profiles are checkpoints: each has a step, and no two the same."""
    steps = {profile.step for profile in profiles}
    return len(profiles) > 1 and None not in steps and len(steps) == len(profiles)


def lines(profiles: Sequence[Profile]) -> list[Line]:
    """Return the lines of the figure. Steps of a series share a color, and deepen with time."""
    found: list[Line] = []
    series = is_series(profiles)
    steps = sorted(profile.step or 0 for profile in profiles)
    for place, (profile, called) in enumerate(zip(profiles, names_of(profiles), strict=True)):
        stacks = profile.stacks()
        for number, stack in enumerate(stacks):
            index = number if series else len(found)
            age = steps.index(profile.step or 0) / max(len(steps) - 1, 1) if series else 1.0
            found.append(
                Line(
                    name=f"{called}: {stack}" if len(stacks) > 1 else called,
                    group=f"line-{place}-{number}",
                    color=class_color(index),
                    opacity=0.25 + 0.75 * age,
                    symbol=class_symbol(index),
                    layers=profile.of(stack),
                )
            )
    return found


def depths_differ(drawn: Sequence[Line]) -> bool:
    """Return whether stacks have different numbers of blocks."""
    return len({blocks(line.layers) for line in drawn}) > 1


def measure_figure(profiles: Sequence[Profile]) -> Figure:
    """Return each measure against depth, with intervals; relative depth too where the depths differ."""
    drawn = lines(profiles)
    names = measures_of(profiles)
    views = [_view(drawn, name, relative=False) for name in names]
    if depths_differ(drawn):
        views += [_view(drawn, name, relative=True) for name in names]
    look = layout(axis("layer"), axis())
    look["margin"] = {"l": 8, "r": 12, "t": 12, "b": 44}
    look["height"] = 420
    return Figure("layers", "Layer by layer", look, views)


def _view(drawn: Sequence[Line], name: str, *, relative: bool) -> View:
    companion = COMPANIONS.get(name)
    traces = [_trace(line, name, relative=relative, dashed=False) for line in drawn]
    if companion:
        traces += [_trace(line, companion, relative=relative, dashed=True) for line in drawn]
    looks: Json = {
        "xaxis": _relative_axis(drawn) if relative else _depth_axis(drawn),
        "yaxis": {"title": {"text": label(spoken(name))}},
        "annotations": _gaps(drawn, name, relative=relative),
        "shapes": _healthy(drawn, name),
    }
    parts = [f"{line.name}: {_ends(line, name)}" for line in drawn]
    alt = f"{spoken(name)} by {'relative depth' if relative else 'layer'}. " + "; ".join(parts) + "."
    return View(spoken(name), alt, [trace for trace in traces if trace["x"]], looks)


def _trace(line: Line, name: str, *, relative: bool, dashed: bool) -> Json:
    measured = [(layer, _measured(layer, name)) for layer in line.layers]
    pairs = [(layer, value) for layer, value in measured if value is not None]
    faint = 0.6 if dashed else 1.0
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label(f"{line.name}, {spoken(name).lower()}" if dashed else line.name),
        "legendgroup": line.group,
        "x": [_x(layer, line, relative=relative) for layer, _ in pairs],
        "y": [_y(value.value) for _, value in pairs],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [_reach(value.value, value.high) for _, value in pairs],
            "arrayminus": [_reach(value.low, value.value) for _, value in pairs],
            "color": line.color,
            "thickness": 1.2,
            "width": 3,
        },
        "line": {"color": line.color, "width": 1.4 if dashed else 2, "dash": "dash" if dashed else "solid"},
        "marker": {
            "color": line.color,
            "size": 4 if dashed else 7,
            "symbol": [f"{line.symbol}-open" if layer.kind == "final" else line.symbol for layer, _ in pairs],
        },
        "opacity": line.opacity * faint,
        "connectgaps": False,
        "cliponaxis": False,
        "customdata": [[label(called(layer)), label(valued(value))] for layer, value in pairs],
        "hovertemplate": "%{customdata[0]}: %{customdata[1]}<extra>%{fullData.name}</extra>",
    }


def called(layer: Layer) -> str:
    """Return what a layer is called on the axis of a table or figure."""
    return "final" if layer.kind == "final" else str(layer.depth)


def _measured(layer: Layer, name: str) -> MeasuredValue | None:
    return next((value for value in layer.measurement.values if value.name == name), None)


def _x(layer: Layer, line: Line, *, relative: bool) -> float:
    if not relative:
        return float(layer.depth)
    return FINAL if layer.kind == "final" else round(relative_depth(layer, line.layers), 5)


def _y(value: float | None) -> float | None:
    return None if value is None else rounded([value])[0]


def _reach(low: float | None, high: float | None) -> float | None:
    if low is None or high is None or not math.isfinite(high - low):
        return None
    return rounded([max(high - low, 0.0)])[0]


def _depth_axis(drawn: Sequence[Line]) -> Json:
    depths = {layer.depth: called(layer) for line in drawn for layer in line.layers}
    blocks_too = {layer.depth for line in drawn for layer in line.layers if layer.kind != "final"}
    stride = max(math.ceil(len(depths) / TICKS), 1)
    shown = sorted(depths)[::stride]
    last = max(depths, default=0)
    if last not in blocks_too and last not in shown:
        shown = [depth for depth in shown if last - depth >= stride] + [last]
    return {
        "title": {"text": "layer (0: what enters the first block)"},
        "tickvals": shown,
        "ticktext": [str(depth) if depth in blocks_too else "final" for depth in shown],
        "range": [min(depths, default=0) - 0.3, last + 0.3],
    }


def _relative_axis(drawn: Sequence[Line]) -> Json:
    final = any(layer.kind == "final" for line in drawn for layer in line.layers)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    return {
        "title": {"text": "relative depth: block over number of blocks"},
        "tickvals": [*ticks, FINAL] if final else ticks,
        "ticktext": [*map(str, ticks), "final"] if final else list(map(str, ticks)),
        "range": [-0.03, FINAL + 0.03 if final else 1.03],
    }


def _gaps(drawn: Sequence[Line], name: str, *, relative: bool) -> list[Json]:
    """Return a word at the foot of the figure for each place where no line has a value."""
    words: dict[float, str] = {}
    for line in drawn:
        for layer in line.layers:
            value = _measured(layer, name)
            if value is not None and value.value is None:
                word = "constant" if layer.constant else "undefined"
                words.setdefault(_x(layer, line, relative=relative), word)
    return [
        {
            "x": place,
            "y": 0,
            "yref": "paper",
            "yanchor": "bottom",
            "text": word,
            "textangle": -90,
            "showarrow": False,
            "font": {"size": 11, "color": "var(--muted)"},
        }
        for place, word in words.items()
    ]


def _healthy(drawn: Sequence[Line], name: str) -> list[Json]:
    """Return dotted lines at the ends of the healthy range, where all layers share one."""
    values = [_measured(layer, name) for line in drawn for layer in line.layers]
    ranges = {value.healthy for value in values if value is not None and value.value is not None}
    if len(ranges) != 1:
        return []
    return [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": end,
            "y1": end,
            "line": {"color": "var(--muted)", "width": 1, "dash": "dot"},
        }
        for end in next(iter(ranges)) or ()
        if end is not None and math.isfinite(end)
    ]


def _ends(line: Line, name: str) -> str:
    known = [
        (called(layer), value)
        for layer in line.layers
        if (value := _measured(layer, name)) is not None and value.value is not None
    ]
    if not known:
        return "undefined in all layers"
    (first, low), (last, high) = known[0], known[-1]
    return f"{valued(low)} in layer {first}, {valued(high)} in layer {last}"


def cells_figure(profiles: Sequence[Profile]) -> Figure:
    """Return layers x measures as a heatmap, each measure from its lowest value to its highest."""
    views = []
    for line in lines(profiles):
        names = [value.name for value in line.layers[0].measurement.values] if line.layers else []
        rows = [[_measured(layer, name) for layer in line.layers] for name in names]
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
            values = [[_measured(layer, name) if layer else None for layer in row] for row in rows]
            trace = {
                **_heat(),
                "x": list(range(len(ordered))),
                "y": list(range(len(rows))),
                "z": [[_y(value.value if value else None) for value in row] for row in values],
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
