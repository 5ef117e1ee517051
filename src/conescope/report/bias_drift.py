"""The page of the common-bias experiment: mean cosine after against before, part by part."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conescope._files import write_text
from conescope.report.drawing import Figure, Json, View, axis, label, layout, rounded
from conescope.report.html import _render
from conescope.report.wording import number
from conescope.results.bias_drift import (
    PAIR_NAMES,
    PART_NAMES,
    BiasDrift,
    BlockDrift,
    Change,
    Effect,
    Pairs,
    PartDrift,
    PartName,
)

COLORS: dict[Pairs, str] = {"across": "var(--class-0)", "within": "var(--class-4)"}
SYMBOLS: dict[Pairs, str] = {"across": "circle", "within": "diamond"}
EVERY_BLOCK = "all, tokens of different sequences"
FAINTEST = 0.3  # opacity of the first block among all
SIGNS: dict[Effect, str] = {"amplifies": "▲", "reduces": "▼", "leaves": "", "unknown": ""}
EMPHASIS: dict[Effect, str] = {"amplifies": "worse", "reduces": "improved", "leaves": "", "unknown": ""}


def bias_drift_html(result: BiasDrift) -> str:
    """Return the page of the experiment as one HTML document that needs nothing else.

    Raises:
        ImportError: if plotly or jinja2 is missing; the message has the line that installs them.
    """
    return _render("bias_drift.html", bias_drift_page(result))


def write_bias_drift(result: BiasDrift, path: str | Path) -> None:
    """Write the page to a file, whole or not at all; its folder is made if it is missing."""
    write_text(path, bias_drift_html(result))


def bias_drift_page(result: BiasDrift) -> dict[str, Any]:
    """Return everything the template bias_drift.html needs."""
    named = [name for name in PART_NAMES if any(_of(block, name) for block in result.blocks)]
    figures = [part_figure(result, name) for name in named]
    pairs: tuple[Pairs, ...] = ("across", "within")
    return {
        "result": result,
        "title": result.title,
        "facts": _facts(result),
        "verdict": [sentence.replace("^2", "²") for each in pairs for sentence in result.verdict(each)],
        "figures": figures,
        "plots": " ".join(f"plot-{figure.name}" for figure in figures),
        "choices": [EVERY_BLOCK, *(block.name for block in result.blocks)],
        "legend": [
            *((PAIR_NAMES[each], COLORS[each], SYMBOLS[each]) for each in pairs),
            ("as it was", "var(--muted)", "dashed"),
        ],
        "shares": [f"{length**2:.3g}" for length in result.lengths],
        "tables": [(PAIR_NAMES[each].capitalize(), _rows(result, each)) for each in pairs],
    }


def part_figure(result: BiasDrift, name: PartName) -> Figure:
    """Return the figure of one part: a view of all blocks, and one of each."""
    found = [(block, _of(block, name)) for block in result.blocks]
    together = [
        _curve(block, part, "across", _faded(place, len(found)))
        for place, (block, part) in enumerate(found)
        if part is not None
    ]
    views = [View(EVERY_BLOCK, _alt(name, [part for _, part in found if part]), [_diagonal(), *together])]
    for block, part in found:
        curves = [] if part is None else [_curve(block, part, pairs, 1.0) for pairs in COLORS]
        alt = f"{block.name}: " + _alt(name, [part] if part else [])
        views.append(View(label(block.name), alt, [_diagonal(), *curves]))
    look = layout(axis("before"), axis("after"))
    lowest = min([0.0, *(value for _, part in found if part for value in _values(part))])
    span = [lowest - 0.05 if lowest < 0 else -0.03, 1.03]
    look["xaxis"] |= {"range": span}
    look["yaxis"] |= {"range": span}
    title = f"{PART_NAMES[name][:1].upper()}{PART_NAMES[name][1:]}"
    return Figure(f"part-{name}", title, look, views)


def _of(block: BlockDrift, name: PartName) -> PartDrift | None:
    return next((part for part in block.parts if part.part == name), None)


def _faded(place: int, count: int) -> float:
    return 1.0 if count == 1 else FAINTEST + (1 - FAINTEST) * place / (count - 1)


def _values(part: PartDrift) -> list[float]:
    changes = [change for point in part.points for change in (point.across, point.within)]
    return [value for change in changes for value in (change.before, change.after) if value is not None]


def _curve(block: BlockDrift, part: PartDrift, pairs: Pairs, opacity: float) -> Json:
    shown: list[tuple[float, float, Change, float]] = []
    for point in part.points:
        change: Change = getattr(point, pairs)
        if change.before is not None and change.after is not None:
            shown.append((change.before, change.after, change, point.share))
    highs = [after if change.high is None else change.high for _, after, change, _ in shown]
    lows = [after if change.low is None else change.low for _, after, change, _ in shown]
    after = [value for _, value, *_ in shown]
    name = label(block.name)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": rounded(before for before, *_ in shown),
        "y": rounded(after),
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": rounded(high - value for high, value in zip(highs, after, strict=True)),
            "arrayminus": rounded(value - low for low, value in zip(lows, after, strict=True)),
            "color": COLORS[pairs],
            "thickness": 1,
            "width": 3,
        },
        "line": {"color": COLORS[pairs], "width": 1.5},
        "marker": {"color": COLORS[pairs], "symbol": SYMBOLS[pairs], "size": 6},
        "opacity": opacity,
        "customdata": [[name, f"{share:.3g}", change.effect] for _, _, change, share in shown],
        "hovertemplate": "<b>%{customdata[0]}</b><br>|b|²/d = %{customdata[1]}<br>before %{x:.4f}"
        "<br>after %{y:.4f}: %{customdata[2]}<extra></extra>",
    }


def _diagonal() -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [-1, 1],
        "y": [-1, 1],
        "line": {"color": "var(--muted)", "width": 1, "dash": "dash"},
        "hoverinfo": "skip",
    }


def _alt(name: PartName, found: Sequence[PartDrift]) -> str:
    points = [point.across for part in found for point in part.points]
    return (
        f"Mean cosine after against before {PART_NAMES[name]}: of {len(points)} cases it rises in "
        f"{sum(one.effect == 'amplifies' for one in points)} and falls in "
        f"{sum(one.effect == 'reduces' for one in points)}."
    )


def _facts(result: BiasDrift) -> list[tuple[str, str]]:
    tokens = sorted({block.tokens for block in result.blocks})
    return [
        ("model", result.architecture),
        ("weights", "untrained" if result.untrained else "as given"),
        ("blocks", str(len(result.blocks))),
        ("dimensions", ", ".join(str(d) for d in sorted({block.d for block in result.blocks}))),
        ("sequences", str(result.sequences)),
        ("tokens each", ", ".join(map(str, tokens))),
        ("seeds", str(len(result.seeds))),
    ]


def _rows(result: BiasDrift, pairs: Pairs) -> list[tuple[str, list[tuple[str, str, str, str]]]]:
    rows = []
    for block in result.blocks:
        whole = block.part("block")
        given = [getattr(point, pairs).before for point in whole.points]
        rows.append((f"{block.name}, given", [(_short(value), "", "muted", "") for value in given]))
        rows += [
            (
                f"{block.name}, {PART_NAMES[part.part]}",
                [_cell(getattr(point, pairs)) for point in part.points],
            )
            for part in block.parts
        ]
    return rows


def _cell(change: Change) -> tuple[str, str, str, str]:
    told = f"{change.effect}: before {number(change.before, 4)}"
    if change.change is not None and change.change_low is not None:
        told += (
            f", change {number(change.change, 4, signed=True)}, 95 % interval "
            f"[{number(change.change_low, 4, signed=True)}, {number(change.change_high, 4, signed=True)}]"
        )
    return _short(change.after), SIGNS[change.effect], EMPHASIS[change.effect], told


def _short(value: float | None) -> str:
    """Return a cosine to three decimals, never in powers of ten."""
    return number(None if value is None else round(value, 3), 3)
