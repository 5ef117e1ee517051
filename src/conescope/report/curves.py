"""Figures of a training: one small panel a quantity, one thin line a run, a thicker one for their mean."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from conescope.report.drawing import Figure, Json, View, arm_color, axis, label, layout, rounded
from conescope.report.wording import spoken
from conescope.results import FineTuning
from conescope.results.finetuning import Arm, Run

Curve: TypeAlias = list[tuple[float, float]]  # (step, value)

CURVE_POINTS = 120  # a longer history is averaged over neighboring steps
UNIFIED_LINES = 6  # more lines than this make a joint hover box unreadable


class _Panel(NamedTuple):
    name: str
    title: str
    of: Callable[[Arm, Run], Curve]
    marked: bool = False


def training_figures(result: FineTuning) -> list[Figure]:
    """Return the panels for which at least one run has logged something."""
    panels = [
        _Panel("task-loss", "Task loss", _task_loss),
        _Panel(
            "main-score", spoken(result.main_score), lambda arm, run: _scores(run, result.main_score), True
        ),
        _Panel("regularizer", "Regularizer", lambda arm, run: _logged(run, "regularizer")),
        _Panel("gradient-share", "Share of the gradient", lambda arm, run: _logged(run, "gradient_share")),
    ]
    figures = (_figure(result, panel) for panel in panels)
    return [figure for figure in figures if figure.views[0].data]


def averaged(curve: Curve) -> Curve:
    """Return at most CURVE_POINTS points, each the mean of as many neighbors.

    >>> len(averaged([(float(step), 1.0) for step in range(1000)]))
    112
    """
    stride = math.ceil(len(curve) / CURVE_POINTS)
    chunks = [curve[start : start + stride] for start in range(0, len(curve), max(stride, 1))]
    return [(_mean([x for x, _ in chunk]), _mean([y for _, y in chunk])) for chunk in chunks]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _logged(run: Run, key: str) -> Curve:
    rows = [(row["step"], row[key]) for row in run.history if "step" in row and key in row]
    return averaged([(step, value) for step, value in rows if math.isfinite(value)])


def _task_loss(arm: Arm, run: Run) -> Curve:
    # Without a regularizer the loss is the task's; with one it is a sum, and another quantity.
    return _logged(run, "task_loss") or ([] if arm.regularizer else _logged(run, "loss"))


def _scores(run: Run, name: str) -> Curve:
    curve = [(row["step"], row[name]) for row in run.evaluations if "step" in row and name in row]
    if name in run.scores and all(step != run.steps for step, _ in curve):
        curve.append((float(run.steps), run.scores[name]))
    return [(step, value) for step, value in curve if math.isfinite(value)]


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Return the mean of several curves, at the steps that all of them have.

    >>> mean_curve([[(1.0, 2.0), (2.0, 8.0)], [(1.0, 4.0)]])
    [(1.0, 3.0)]
    """
    tables = [dict(curve) for curve in curves]
    shared = [step for step, _ in curves[0] if all(step in table for table in tables)]
    return [(step, _mean([table[step] for table in tables])) for step in shared]


def _figure(result: FineTuning, panel: _Panel) -> Figure:
    traces: list[Json] = []
    ends = []
    for index, arm in enumerate(result.arms):
        curves = {run.seed: curve for run in arm.runs if (curve := panel.of(arm, run))}
        look = _Look(f"arm-{index}", arm_color(result, index), panel.marked, len(curves) > 1)
        for seed, curve in curves.items():
            traces.append(_line(curve, f"{arm.name}, seed {seed}", look))
            ends.append(f"{arm.name}, seed {seed}: {curve[0][1]:.4g} to {curve[-1][1]:.4g}")
        if len(curves) > 1:
            mean = mean_curve(list(curves.values()))
            traces.append(_line(mean, f"{arm.name}, mean", look._replace(faint=False)))
    axes = layout(axis("optimizer step"), axis())
    axes["xaxis"] |= {"rangemode": "tozero", "nticks": 6}
    axes["yaxis"] |= {"nticks": 5}
    if len(traces) <= UNIFIED_LINES:
        axes["hovermode"] = "x unified"
    alt = f"{panel.title} over the steps of the training, first to last. " + "; ".join(ends) + "."
    return Figure(panel.name, panel.title, axes, [View("all runs", alt, traces)])


class _Look(NamedTuple):
    group: str
    color: str
    marked: bool
    faint: bool  # one of several runs, which their mean stands out from


def _line(curve: Curve, name: str, look: _Look) -> Json:
    return {
        "type": "scatter",
        "mode": "lines+markers" if look.marked else "lines",
        "name": label(name),
        "legendgroup": look.group,
        "x": rounded(x for x, _ in curve),
        "y": rounded(y for _, y in curve),
        "line": {"color": look.color, "width": 1 if look.faint else 1.8},
        "marker": {"color": look.color, "size": 4 if look.faint else 6},
        "opacity": 0.45 if look.faint else 1,
        "cliponaxis": False,
        "hovertemplate": "%{y:.4g}<extra>%{fullData.name}</extra>",
    }
