"""Scores of perturbed models on the page of their study: against the dose, and against each measure."""

from typing import Any

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
from conescope.report.wording import number, spoken
from conescope.results import Perturbation, PerturbedRun, ScoredTask
from conescope.results.prediction import Association
from conescope.results.scored_task import GIVEN_LEVEL, GIVEN_RANK

HEADS = ("as it is", "given the rank of the percentage", "between runs of one percentage")


def scores_page(result: Perturbation) -> dict[str, Any]:
    """Return what the template needs for the tasks; nothing of it is drawn without one."""
    measures = [name for name in result.names() if any(name in task.measures() for task in result.tasks)]
    figures = [scatter_figure(result, task, measures) for task in result.tasks if measures]
    return {
        "scatters": figures,
        "scatter_plots": " ".join(f"plot-{figure.name}" for figure in figures),
        "scatter_measures": [spoken(name) for name in measures],
        "doses": [
            (f"{percent:g} %", class_color(place), class_symbol(place))
            for place, percent in enumerate(result.percents())
        ],
        "correlations": [_correlations(task) for task in result.tasks],
        "correlation_heads": HEADS,
    }


def score_name(task: ScoredTask, score: str) -> str:
    """Return what a score is called on the page."""
    return f"{task.name}, {spoken(score)}"


def scatter_figure(result: Perturbation, task: ScoredTask, measures: list[str]) -> Figure:
    """Return the main score of a task against the measures, one view each; percentages look different."""
    look = layout(axis(), axis(score_name(task, task.main_score)))
    views = [
        View(
            spoken(name),
            f"{score_name(task, task.main_score)} against {spoken(name)}: {said(task, name)}.",
            [
                _cloud(percent, place, _pairs(result, task, name, percent))
                for place, percent in enumerate(result.percents())
            ],
            {"xaxis": {"title": {"text": label(spoken(name))}}},
        )
        for name in measures
    ]
    return Figure(f"scatter-{task.name}".replace("_", "-").replace(".", "-"), task.name, look, views)


def said(task: ScoredTask, measure: str) -> str:
    """Return the rank correlations of a measure with the main score, and what they come to."""
    cells = zip(HEADS, _row(task, measure), strict=True)
    return f"{task.outcome(measure)}; rank correlation " + ", ".join(f"{text} {head}" for head, text in cells)


def _pairs(
    result: Perturbation, task: ScoredTask, measure: str, percent: float
) -> list[tuple[int, float, float]]:
    """Return seed, measure and score of the runs at a percentage; without noise all have one measurement."""
    measured: dict[int | None, PerturbedRun] = {
        run.seed if percent else None: run for run in result.runs if run.percent == percent
    }
    found = []
    for run in task.runs:
        if run.percent == percent and (seed := run.seed if percent else None) in measured:
            value = measured[seed].measurement.measured(measure).value
            if value is not None:
                found.append((run.seed, value, run.scores[task.main_score]))
    return found


def _cloud(percent: float, place: int, pairs: list[tuple[int, float, float]]) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{percent:g} %",
        "x": rounded(value for _, value, _ in pairs),
        "y": rounded(score for _, _, score in pairs),
        "customdata": [seed for seed, _, _ in pairs],
        "marker": {"color": class_color(place), "symbol": class_symbol(place), "size": 8, "opacity": 0.8},
        "hovertemplate": f"<b>{percent:g} %</b>, seed "
        "%{customdata}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
    }


def _correlations(task: ScoredTask) -> dict[str, Any]:
    return {
        "title": score_name(task, task.main_score),
        "rows": [(spoken(name), _row(task, name), task.outcome(name)) for name in task.measures()],
        "told": f"{task.train_examples} examples to train on, {task.dev_examples} to be scored; "
        + ", ".join(
            f"{key.replace('_', ' ')} {value}" for key, value in task.budget.items() if key != "examples"
        ),
    }


def _row(task: ScoredTask, measure: str) -> list[str]:
    return [_cell(task.association(measure, *given)) for given in ((), GIVEN_RANK, GIVEN_LEVEL)]


def _cell(one: Association | None) -> str:
    if one is None or one.value is None:
        return number(None)
    ends = "" if one.low is None else f" [{number(one.low)}, {number(one.high)}]"
    return number(one.value) + ends
