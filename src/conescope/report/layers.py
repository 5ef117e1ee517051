"""The figure of measures against layers, a line for each stack of each profile."""

import math
from collections.abc import Sequence

from conescope.report.drawing import (
    Figure,
    Json,
    View,
    axis,
    label,
    layout,
    rounded,
)
from conescope.report.drawn_layers import (
    Line,
    called,
    depths_differ,
    lines,
    measure_of,
    measures_of,
    y_of,
)
from conescope.report.seen import valued
from conescope.report.wording import spoken
from conescope.results import Profile
from conescope.results.profile import Layer
from conescope.results.profiles import relative_depth

COMPANIONS = {"mean_cosine": "mean_cosine_centered", "anisotropy_1": "anisotropy_1_uncentered"}
FINAL = 1.07  # where the final normalization stands on the axis of relative depth
TICKS = 13  # numbers on the axis of layers, at most


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
    measured = [(layer, measure_of(layer, name)) for layer in line.layers]
    pairs = [(layer, value) for layer, value in measured if value is not None]
    faint = 0.6 if dashed else 1.0
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label(f"{line.name}, {spoken(name).lower()}" if dashed else line.name),
        "legendgroup": line.group,
        "x": [_x(layer, line, relative=relative) for layer, _ in pairs],
        "y": [y_of(value.value) for _, value in pairs],
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


def _x(layer: Layer, line: Line, *, relative: bool) -> float:
    if not relative:
        return float(layer.depth)
    return FINAL if layer.kind == "final" else round(relative_depth(layer, line.layers), 5)


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
            value = measure_of(layer, name)
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
    values = [measure_of(layer, name) for line in drawn for layer in line.layers]
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
        if (value := measure_of(layer, name)) is not None and value.value is not None
    ]
    if not known:
        return "undefined in all layers"
    (first, low), (last, high) = known[0], known[-1]
    return f"{valued(low)} in layer {first}, {valued(high)} in layer {last}"
