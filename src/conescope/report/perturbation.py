"""The page of a perturbation study: each measure against the percentage of noise."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conescope._files import write_text
from conescope.report.drawing import Figure, Json, View, axis, layout, rounded
from conescope.report.html import _render
from conescope.report.scored_tasks import score_name, scores_page
from conescope.report.wording import meaning, number, spoken
from conescope.results import Perturbation, Response

AXES = ("linear", "logarithmic")
COLOR = "var(--class-0)"


def perturbation_html(result: Perturbation) -> str:
    """Return the page of the study as one HTML document that needs nothing else.

    Raises:
        ImportError: if plotly or jinja2 is missing; the message has the line that installs them.
    """
    return _render("perturbation.html", perturbation_page(result))


def write_perturbation(result: Perturbation, path: str | Path) -> None:
    """Write the page to a file, whole or not at all; its folder is made if it is missing."""
    write_text(path, perturbation_html(result))


def perturbation_page(result: Perturbation) -> dict[str, Any]:
    """Return everything the template perturbation.html needs."""
    figures = [response_figure(spoken(name), name, result.responses(name)) for name in result.names()]
    scores = [(task, score) for task in result.tasks for score in task.scores()]
    figures += [
        response_figure(
            score_name(task, score), f"{task.name}-{score}".replace(".", "-"), task.responses(score)
        )
        for task, score in scores
    ]
    tasks = scores_page(result)
    several = any(percent > 0 for percent in result.percents())
    return {
        "result": result,
        "title": result.title,
        "facts": _facts(result),
        "curves": figures,
        "figures": [*figures, *tasks["scatters"]],
        "meanings": {
            figure.name: meaning(name)
            for figure, name in zip(figures, (*result.names(), *(score for _, score in scores)), strict=True)
        },
        "plots": " ".join(f"plot-{figure.name}" for figure in figures),
        "axes": AXES if several else AXES[:1],
        "legend": [
            ("mean, and range over the repeats", COLOR, "circle"),
            ("without noise", "var(--muted)", "dashed"),
        ],
        "percents": [f"{percent:g} %" for percent in result.percents()],
        "rows": [
            *((spoken(name), [_cell(each) for each in result.responses(name)]) for name in result.names()),
            *(
                (score_name(task, name), [_cell(each) for each in task.responses(name)])
                for task, name in scores
            ),
        ],
        **tasks,
    }


def response_figure(title: str, name: str, given: Sequence[Response]) -> Figure:
    """Return what is to be seen at each percentage, on a linear axis, and on a logarithmic one without 0."""
    drawn = [each for each in given if each.mean is not None]
    alt = f"{title} by percentage of noise: " + (
        "; ".join(f"{each.percent:g} %: {number(each.mean)}" for each in drawn) or "undefined"
    )
    views = []
    for scale in AXES if any(each.percent > 0 for each in given) else AXES[:1]:
        linear = scale == "linear"
        seen = [each for each in drawn if linear or each.percent > 0]
        data = [_line(seen)] if seen else []
        before = next((each.mean for each in drawn if each.percent == 0), None)
        if before is not None:
            shown = [each.percent for each in given if linear or each.percent > 0]
            data.insert(0, _before(before, min(shown), max(shown)))
        axes: Json = {"xaxis": {"type": "linear"} if linear else {"type": "log", "dtick": 1}}
        views.append(View(scale, f"{alt}.", data, axes))
    look = layout(axis("percent of noise"), axis())
    look["xaxis"]["nticks"] = 6
    look["yaxis"]["nticks"] = 6
    return Figure(f"response-{name}".replace("_", "-"), title, look, views)


def _line(seen: list[Response]) -> Json:
    means, lows, highs = (
        [0.0 if value is None else value for value in values]
        for values in zip(*((each.mean, each.low, each.high) for each in seen), strict=True)
    )
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": rounded(each.percent for each in seen),
        "y": rounded(means),
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": rounded(high - mean for high, mean in zip(highs, means, strict=True)),
            "arrayminus": rounded(mean - low for mean, low in zip(means, lows, strict=True)),
            "color": COLOR,
            "thickness": 1,
            "width": 3,
        },
        "line": {"color": COLOR, "width": 1.5},
        "marker": {"color": COLOR, "size": 6},
        "customdata": [[each.defined, number(each.low), number(each.high)] for each in seen],
        "hovertemplate": "<b>%{x:g} %</b><br>mean %{y:.4g} of %{customdata[0]}"
        "<br>%{customdata[1]} to %{customdata[2]}<extra></extra>",
    }


def _before(value: float, start: float, end: float) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": rounded([start, end]),
        "y": rounded([value, value]),
        "line": {"color": "var(--muted)", "width": 1, "dash": "dash"},
        "hoverinfo": "skip",
    }


def _facts(result: Perturbation) -> list[tuple[str, str]]:
    facts = [
        ("model", result.architecture),
        ("layer", f"{result.stack} {result.depth}".strip()),
        ("points", f"{result.pooling}{'' if result.special_tokens else ', none special'}"),
        ("inputs", str(result.inputs)),
        ("noise", result.noise),
        ("in", f"{result.parts}{'' if result.layer_norm else ', no normalization'}"),
        ("tensors", str(result.tensors)),
        ("repeats", str(result.repeats)),
    ]
    if result.spread is not None:
        facts.insert(6, ("their median deviation", number(result.spread)))
    return facts


def _cell(each: Response) -> tuple[str, str]:
    """Return the mean, and the range in words."""
    if each.mean is None:
        return number(None), each.note
    told = f"{number(each.low)} to {number(each.high)} over {each.defined}"
    missing = each.repeats - each.defined
    return number(each.mean), told + (f", undefined in {missing}" if missing else "")
