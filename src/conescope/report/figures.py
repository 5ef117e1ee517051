"""Figures of a geometry: the spectrum and the map of the embeddings, before and after."""

import math
from collections.abc import Sequence

from conescope.report.drawing import (
    Figure,
    Json,
    View,
    arm_color,
    axis,
    class_color,
    class_symbol,
    label,
    layout,
    rounded,
    runs_of,
    seeds,
)
from conescope.results import FineTuning, Map, Snapshot
from conescope.results.finetuning import Run

SMALLEST_SHARE = 1e-9  # of the variance; below it a component is rounding error
MAP_POINTS = 1000  # in one panel; more would overlap and weigh down the file


def spectrum_figure(result: FineTuning) -> Figure:
    """Return the share of the variance by component on two logarithmic axes, one view a seed."""
    views = []
    for seed in seeds(result):
        runs = runs_of(result, seed)
        shared = len({run.before.spectrum for _, run in runs}) == 1
        # Arms of one seed start from the same weights, so one dashed line stands for all of them.
        before = [(runs[0][1], "before training", "before", "var(--before)")] if shared else []
        traces = [_decay(run.before, name, group, color, "dash") for run, name, group, color in before]
        for index, run in runs:
            name, color = result.arms[index].name, arm_color(result, index)
            if not shared:
                traces.append(_decay(run.before, f"{name}, before", f"arm-{index}", color, "dash"))
            traces.append(_decay(run.after, f"{name}, after", f"arm-{index}", color, "solid"))
        views.append(View(f"seed {seed}", _spectrum_alt(result, runs), traces))
    look = layout(axis("principal component, largest first"), axis("share of the variance"))
    look["xaxis"] |= {"type": "log", "dtick": 1}
    look["yaxis"] |= {"type": "log", "dtick": 1, "tickformat": "~%"}
    return Figure("spectrum", "Spectrum", look, views)


def _decay(snapshot: Snapshot, name: str, group: str, color: str, dash: str) -> Json:
    kept = [(k, share) for k, share in enumerate(snapshot.spectrum, 1) if share > SMALLEST_SHARE]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": label(name),
        "legendgroup": group,
        "x": [k for k, _ in kept],
        "y": rounded(share for _, share in kept),
        "line": {"color": color, "width": 1.6 if dash == "dash" else 2, "dash": dash},
        "hovertemplate": "component %{x}: %{y:.2%}<extra>%{fullData.name}</extra>",
    }


def _spectrum_alt(result: FineTuning, runs: Sequence[tuple[int, Run]]) -> str:
    parts = [
        f"{result.arms[index].name}: {_first(run.before)} before, {_first(run.after)} after"
        for index, run in runs
    ]
    return "Share of the variance in the first principal component. " + "; ".join(parts) + "."


def _first(snapshot: Snapshot) -> str:
    return f"{snapshot.spectrum[0]:.1%}" if snapshot.spectrum else "not known"


def map_figures(result: FineTuning) -> list[Figure]:
    """Return a map before training and one after each arm, each with one view a seed."""
    by_seed = {seed: runs_of(result, seed) for seed in seeds(result)}
    before = [_map_view(result, seed, runs[0][1].before.map) for seed, runs in by_seed.items()]
    look = layout(axis(), axis())
    look["yaxis"] |= {"scaleanchor": "x", "nticks": 5}
    look["xaxis"] |= {"nticks": 5}
    figures = [Figure("map-before", "Before training", look, before)]
    for index, arm in enumerate(result.arms):
        maps = {seed: dict(runs)[index].after.map for seed, runs in by_seed.items() if index in dict(runs)}
        after = [_map_view(result, seed, maps.get(seed)) for seed in by_seed]
        figures.append(Figure(f"map-{index}", f"After, {arm.name}", look, after))
    return figures


def _map_view(result: FineTuning, seed: int, drawn: Map | None) -> View:
    if drawn is None:
        return View(f"seed {seed}", f"no run with seed {seed}", [])
    stride = math.ceil(len(drawn.labels) / MAP_POINTS) or 1
    points = list(zip(drawn.x, drawn.y, drawn.labels, strict=True))[::stride]
    traces = [
        _cloud(name, index, [(x, y) for x, y, of in points if of == index])
        for index, name in enumerate(result.classes)
    ]
    thinned = f"; one point in {stride} is drawn" if stride > 1 else ""
    alt = f"{drawn.share:.0%} of the variance lies in this plane{thinned}"
    return View(f"seed {seed}", alt, [trace for trace in traces if trace["x"]])


def _cloud(name: str, index: int, points: Sequence[tuple[float, float]]) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label(name),
        "legendgroup": f"class-{index}",
        "x": rounded(x for x, _ in points),
        "y": rounded(y for _, y in points),
        "marker": {"color": class_color(index), "symbol": class_symbol(index), "size": 6, "opacity": 0.75},
        "hoverinfo": "name",
    }
