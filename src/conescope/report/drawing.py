"""What all figures share: their shape as JSON, the look of an axis, rounding, and the escaping of labels.

Figures are the plain JSON that plotly.js draws, so that plotly is needed for its bundle alone. A color
is the name of a CSS variable, `var(--name)`: the page resolves it, in light and in dark.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from typing import Any, TypeAlias

from conescope.results import FineTuning
from conescope.results.finetuning import Run

Json: TypeAlias = dict[str, Any]

LABEL_LENGTH = 40  # characters; longer names would push the figure aside
ARM_COLORS = 5
CLASS_COLORS = 7
CLASS_SYMBOLS = ("circle", "square", "diamond")


@dataclass(frozen=True)
class View:
    """One state of a figure: what a chooser switches to, and the words for who cannot see it."""

    label: str
    alt: str
    data: list[Json]
    layout: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A figure with one view or more; `layout` holds for all of them."""

    name: str
    title: str
    layout: Json
    views: list[View]


def rounded(values: Iterable[float]) -> list[float | None]:
    """Return the values to five significant digits, and None where a value is not finite.

    >>> rounded([0.123456789, float("nan")])
    [0.12346, None]
    """
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]


def label(text: str) -> str:
    """Return a text that plotly.js shows as it is: it reads tags, entities and $formulas$ in every label.

    >>> label("R&D <b>")
    'R&amp;D &lt;b&gt;'
    """
    return escape(shortened(text), quote=False).replace("$", "&#36;")


def shortened(text: str) -> str:
    """Return the text on one line, cut at LABEL_LENGTH characters."""
    text = " ".join(text.split())
    return text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "…"


def seeds(result: FineTuning) -> list[int]:
    """Return the seeds of all arms, each once."""
    return sorted({run.seed for arm in result.arms for run in arm.runs})


def runs_of(result: FineTuning, seed: int) -> list[tuple[int, Run]]:
    """Return (index of the arm, its run) for each arm that has a run with this seed."""
    return [(index, run) for index, arm in enumerate(result.arms) for run in arm.runs if run.seed == seed]


def arm_color(result: FineTuning, index: int) -> str:
    """Return the color of an arm: neutral for the plain one, so that color means a regularizer."""
    first_is_plain = result.arms[0].regularizer is None
    if index == 0 and first_is_plain:
        return "var(--plain)"
    return f"var(--arm-{(index - first_is_plain) % ARM_COLORS})"


def class_color(index: int) -> str:
    """Return the color of a class; after CLASS_COLORS of them the symbol changes too."""
    return f"var(--class-{index % CLASS_COLORS})"


def class_symbol(index: int) -> str:
    """Return the plotly symbol of a class."""
    return CLASS_SYMBOLS[index // CLASS_COLORS % len(CLASS_SYMBOLS)]


def axis(title: str = "") -> Json:
    """Return a quiet axis: a hairline grid, no frame, no zero line."""
    return {
        "title": {"text": title, "font": {"size": 12, "color": "var(--muted)"}, "standoff": 8},
        "gridcolor": "var(--rule)",
        "linecolor": "var(--rule)",
        "tickfont": {"size": 11, "color": "var(--muted)"},
        "zeroline": False,
        "automargin": True,
    }


def layout(xaxis: Json, yaxis: Json) -> Json:
    """Return the layout that all figures start from. Legends and titles are HTML, not plotly's."""
    return {
        "xaxis": xaxis,
        "yaxis": yaxis,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": "var(--card)",
            "bordercolor": "var(--rule)",
            "font": {"size": 12, "color": "var(--ink)"},
            "namelength": -1,
        },
    }
