"""The barcode of each class, before and after, with the bars that a regularizer selects marked."""

import math
from collections.abc import Sequence

from conescope.report.drawing import Figure, Json, View, axis, label, layout, rounded, seeds
from conescope.results import Bars, FineTuning

BARCODE_HEIGHT = 640  # pixels, which the bars share
BAR_PITCH = (1.5, 7.0)  # pixels from bar to bar, least and most
CLASS_HEADER = 30  # pixels above the bars of each class


def barcode_figure(result: FineTuning) -> Figure:
    """Return the bars of each class, longest at the top; one view a state, see `barcode_states`."""
    views = [_barcode_view(name, bars) for name, bars in barcode_states(result)]
    look = layout(axis("length of the bar (a distance)"), axis())
    look["xaxis"] |= {"rangemode": "tozero"}
    look["yaxis"] |= {"visible": False, "fixedrange": True}
    look["margin"] = {"l": 2, "r": 8, "t": 0, "b": 44}
    look |= {"bargap": 0, "barmode": "overlay"}
    return Figure("barcode", "Barcode", look, views)


def barcode_states(result: FineTuning) -> list[tuple[str, tuple[Bars, ...]]]:
    """Return the name and the bars of each state: before training, then after every run.

    All runs start from the same points as a rule, so one "before" stands for all that agree. Arms that
    select bars by different rules have their own.
    """
    starts: dict[tuple[Bars, ...], list[tuple[str, int]]] = {}
    for arm in result.arms:
        for run in arm.runs:
            starts.setdefault(run.before.bars, []).append((arm.name, run.seed))
    states = [(f"before training{_whose(result, runs)}", bars) for bars, runs in starts.items()]
    several = len(seeds(result)) > 1
    return states + [
        (f"after, {arm.name}{f', seed {run.seed}' if several else ''}", run.after.bars)
        for arm in result.arms
        for run in arm.runs
    ]


def _whose(result: FineTuning, runs: Sequence[tuple[str, int]]) -> str:
    """Return which arms and seeds a "before" belongs to, or nothing if to all."""
    arms, numbers = list(dict.fromkeys(arm for arm, _ in runs)), sorted({seed for _, seed in runs})
    text = "" if len(arms) == len(result.arms) else f", bars selected as for {' and '.join(arms)}"
    return text if numbers == seeds(result) else f"{text}, seed {', '.join(map(str, numbers))}"


def barcode_sides(result: FineTuning) -> tuple[int, int]:
    """Return the two states to compare first: before and after the first regularized run, if there is one."""
    states = [bars for _, bars in barcode_states(result)]
    run = next((arm for arm in result.arms if arm.regularizer), result.arms[0]).runs[0]
    return states.index(run.before.bars), states.index(run.after.bars)


def _barcode_view(name: str, classes: Sequence[Bars]) -> View:
    """Lay the bars out in pixels from the top, so that the height of the figure follows from them."""
    count = sum(len(bars.lengths) for bars in classes)
    pitch = min(max(BARCODE_HEIGHT / max(count, 1), BAR_PITCH[0]), BAR_PITCH[1])
    places: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    annotations = []
    top = 0.0
    for bars in classes:
        kept = f"{sum(bars.selected)} of {len(bars.lengths)} selected"
        annotations += [_note(top, label(bars.label), 0, "var(--ink)"), _note(top, kept, 1, "var(--muted)")]
        top += CLASS_HEADER
        ordered = sorted(zip(bars.lengths, bars.selected, strict=True), key=lambda bar: -bar[0])
        for length, selected in ordered:
            places[selected].append((top + pitch / 2, length))
            top += pitch
    data = [_bars(places[False], pitch, "not selected"), _bars(places[True], pitch, "selected")]
    shape = {
        "annotations": annotations,
        "height": math.ceil(top) + 44,
        "yaxis": {"range": [math.ceil(top), 0]},
    }
    return View(name, _barcode_alt(name, classes), data, shape)


def _bars(places: Sequence[tuple[float, float]], pitch: float, name: str) -> Json:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "x": rounded(length for _, length in places),
        "y": rounded(y for y, _ in places),
        "width": pitch * (0.72 if pitch > 2 else 0.9),
        "marker": {"color": "var(--selected)" if name == "selected" else "var(--unselected)"},
        "hovertemplate": "%{x:.4g}<extra>%{fullData.name}</extra>",
    }


def _note(top: float, text: str, side: int, color: str) -> Json:
    return {
        "text": text,
        "x": side,
        "xref": "paper",
        "xanchor": "right" if side else "left",
        "y": top + CLASS_HEADER - 3,
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 12, "color": color},
        "borderpad": 0,
    }


def _barcode_alt(name: str, classes: Sequence[Bars]) -> str:
    parts = [
        f"{bars.label}: {sum(bars.selected)} of {len(bars.lengths)} bars selected, "
        f"longest {max(bars.lengths):.3g}, shortest {min(bars.lengths):.3g}"
        if bars.lengths
        else f"{bars.label}: no bars"
        for bars in classes
    ]
    return f"Barcode {name}. " + "; ".join(parts) + "."
