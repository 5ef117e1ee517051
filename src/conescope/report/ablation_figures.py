"""Figures of an ablation: task against isotropy, learning curves, and the weights that were tried."""

import math
from collections.abc import Sequence

from conescope.ablation.quantities import HEADLINE, score_curve
from conescope.ablation.statistics import front, plain_arm
from conescope.report.curves import Curve, mean_curve
from conescope.report.drawing import ARM_COLORS, Figure, Json, View, axis, label, layout, rounded
from conescope.report.wording import number, spoken
from conescope.results import Ablation, AblationArm, FrontPoint, Tried

SYMBOLS = ("circle", "square", "diamond")
DASHES = ("solid", "dot", "dashdot")
VIEWS = {  # what a chooser calls an anisotropy
    HEADLINE: "centered",
    "anisotropy_1_uncentered": "uncentered",
    "anisotropy_1_within_class": "within class",
}
NAMED = 6  # with more arms only those on the front, and plain, are named in the figure


def place(result: Ablation, arm: str) -> int:
    """Return the index of an arm; colors and symbols go by it."""
    return next(index for index, each in enumerate(result.arms) if each.name == arm)


def color(result: Ablation, index: int) -> str:
    """Return the color of an arm: neutral for plain training; after ARM_COLORS the symbol changes too."""
    if result.arms[index].settings is None:
        return "var(--plain)"
    return f"var(--arm-{_rank(result, index) % ARM_COLORS})"


def symbol(result: Ablation, index: int) -> int:
    """Return which of SYMBOLS and DASHES an arm has."""
    return _rank(result, index) // ARM_COLORS % len(SYMBOLS)


def _rank(result: Ablation, index: int) -> int:
    return sum(arm.settings is not None for arm in result.arms[:index])


def front_figure(result: Ablation) -> Figure:
    """Return the mean score against the mean anisotropy of each arm, one view for each kind of anisotropy."""
    views = []
    for measure, words in VIEWS.items():
        points = (
            result.front if measure == HEADLINE else front(result.arms, result.main_score, measure=measure)
        )
        if points:
            views.append(View(words, _front_alt(result, points, measure), _front_traces(result, points)))
    look = layout(axis("anisotropy_1: left is more isotropic"), axis(spoken(result.main_score)))
    look["xaxis"]["nticks"] = look["yaxis"]["nticks"] = 6
    return Figure("front", "Task against isotropy", look, views)


def _front_traces(result: Ablation, points: Sequence[FrontPoint]) -> list[Json]:
    on = sorted((point for point in points if point.on_front), key=lambda point: point.anisotropy)
    line: Json = {
        "type": "scatter",
        "mode": "lines",
        "x": rounded(point.anisotropy for point in on),
        "y": rounded(point.score for point in on),
        "line": {"color": "var(--muted)", "width": 1, "dash": "dash"},
        "hoverinfo": "skip",
    }
    return [*([line] if len(on) > 1 else []), *(_front_point(result, points, each) for each in points)]


def _front_point(result: Ablation, points: Sequence[FrontPoint], point: FrontPoint) -> Json:
    index = place(result, point.arm)
    named = len(points) <= NAMED or point.on_front or result.arms[index].settings is None
    paint = color(result, index)
    middle = (min(p.anisotropy for p in points) + max(p.anisotropy for p in points)) / 2
    side = "right" if point.anisotropy <= middle else "left"  # a name that points inwards is not cut off
    return {
        "type": "scatter",
        "mode": "markers+text" if named else "markers",
        "name": label(point.arm),
        "legendgroup": f"arm-{index}",
        "x": rounded([point.anisotropy]),
        "y": rounded([point.score]),
        "text": [label(point.arm) if named else ""],
        "textposition": f"top {side}",
        "textfont": {"size": 11, "color": "var(--ink)"},
        "cliponaxis": False,
        "error_x": _error(point.anisotropy_error, paint),
        "error_y": _error(point.score_error, paint),
        "marker": {
            "color": paint,
            "size": 9,
            "symbol": SYMBOLS[symbol(result, index)] + ("" if point.on_front else "-open"),
        },
        "hovertemplate": "%{fullData.name}<br>anisotropy %{x:.4g}<br>score %{y:.4g}<extra></extra>",
    }


def _error(value: float | None, paint: str) -> Json:
    known = value is not None and math.isfinite(value)
    return {
        "type": "data",
        "array": [value if known else 0],
        "visible": known,
        "color": paint,
        "thickness": 1,
    }


def _front_alt(result: Ablation, points: Sequence[FrontPoint], measure: str) -> str:
    places = "; ".join(
        f"{point.arm}: {number(point.score)} at {number(point.anisotropy)}"
        f"{', on the front' if point.on_front else ''}"
        for point in points
    )
    return f"{spoken(result.main_score)} against {spoken(measure)}. {places}."


def curves_figure(result: Ablation) -> Figure:
    """Return the mean dev score of each arm over the steps, and the mean that plain training ends with."""
    traces: list[Json] = []
    ends = []
    for index, arm in enumerate(result.arms):
        curve = _mean_score(arm, result.main_score)
        if len(curve) > 1:
            traces.append(_curve(result, index, curve))
            ends.append(f"{arm.name}: {curve[0][1]:.4g} to {curve[-1][1]:.4g}")
    plain = plain_arm(result.arms)
    last = _mean_score(plain, result.main_score)[-1:] if plain is not None else []
    longest = max((max(trace["x"]) for trace in traces), default=0.0)
    if traces and last:
        traces.append(_target(last[0][1], longest))
    look = layout(axis("optimizer step"), axis())
    look["xaxis"] |= {"rangemode": "tozero", "nticks": 6}
    look["yaxis"]["nticks"] = 6
    alt = f"{spoken(result.main_score)} on dev over the steps, first to last. " + "; ".join(ends) + "."
    views = [View("mean", alt, traces)] if traces else []
    return Figure("curves", spoken(result.main_score), look, views)


def _mean_score(arm: AblationArm, score: str) -> Curve:
    curves = [curve for run in arm.runs if (curve := score_curve(run, score))]
    return mean_curve(curves) if curves else []


def _curve(result: Ablation, index: int, curve: Curve) -> Json:
    paint = color(result, index)
    dash = DASHES[symbol(result, index)]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label(result.arms[index].name),
        "legendgroup": f"arm-{index}",
        "x": rounded(x for x, _ in curve),
        "y": rounded(y for _, y in curve),
        "line": {"color": paint, "width": 1.8, "dash": dash},
        "marker": {"color": paint, "size": 5, "symbol": SYMBOLS[symbol(result, index)]},
        "cliponaxis": False,
        "hovertemplate": "step %{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
    }


def _target(value: float, end: float) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "plain at its end",
        "x": rounded([0.0, end]),
        "y": rounded([value, value]),
        "line": {"color": "var(--muted)", "width": 1, "dash": "dash"},
        "hoverinfo": "skip",
    }


def weights_figure(result: Ablation) -> Figure:
    """Return what each weight that was tried did on the split: score difference against anisotropy."""
    traces = []
    for index, arm in enumerate(result.arms):
        mine = [each for each in result.tried if each.arm == arm.name and _drawable(each)]
        if mine:
            traces.append(_tries(result, index, sorted(mine, key=lambda each: each.weight)))
    alt = "Score difference to plain on the split, against anisotropy_1 there. " + "; ".join(
        f"{each.arm} at {each.weight:g}: {number(each.difference, signed=True)}" for each in result.tried
    )
    if traces:
        spots = [x for trace in traces for x in trace["x"]]
        zero = _target(0.0, max(spots))
        zero["x"] = rounded([min(spots), max(spots)])
        traces.insert(0, zero | {"name": "plain"})
    look = layout(axis("anisotropy_1 on the split"), axis("score minus plain"))
    look["xaxis"]["nticks"] = look["yaxis"]["nticks"] = 6
    return Figure(
        "weights", "Weights that were tried", look, [View("tried", f"{alt}.", traces)] if traces else []
    )


def _drawable(each: Tried) -> bool:
    return all(map(math.isfinite, (each.difference, each.error, each.geometry.get(HEADLINE, math.nan))))


def _tries(result: Ablation, index: int, mine: Sequence[Tried]) -> Json:
    chosen = {choice.arm: choice.weight for choice in result.choices}
    kept = [chosen.get(each.arm) == each.weight for each in mine]
    paint, shape = color(result, index), SYMBOLS[symbol(result, index)]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label(result.arms[index].name),
        "legendgroup": f"arm-{index}",
        "x": rounded(each.geometry[HEADLINE] for each in mine),
        "y": rounded(each.difference for each in mine),
        "customdata": [
            [f"{each.weight:g}", "chosen" if mark else "tried"] for each, mark in zip(mine, kept, strict=True)
        ],
        "error_y": {
            "type": "data",
            "array": rounded(each.error for each in mine),
            "color": paint,
            "thickness": 1,
            "width": 2,
        },
        "line": {"color": paint, "width": 1},
        "marker": {
            "color": paint,
            "size": [11 if mark else 6 for mark in kept],
            "symbol": [shape if mark else f"{shape}-open" for mark in kept],
        },
        "hovertemplate": "%{fullData.name}, weight %{customdata[0]}, %{customdata[1]}"
        "<br>%{y:+.4g} at anisotropy %{x:.4g}<extra></extra>",
    }
