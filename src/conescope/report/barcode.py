"""The page of one barcode: its bars, the tree they come from, and a slider for how many of them count."""

import json
import math
from pathlib import Path
from statistics import median
from textwrap import wrap
from typing import Any, NamedTuple

from conescope._files import write_text
from conescope.report.drawing import LABEL_LENGTH, Figure, Json, View, axis, label, layout, rounded, shortened
from conescope.report.html import _render
from conescope.report.wording import number
from conescope.results.barcode import EVERY_BAR, Barcode

MOST_DRAWN = 2000  # bars; more could not be told apart, and would weigh down the page
LISTED = 20  # bars in the table
ITEM_LINES = 3  # of a text in a hover box
NAMED_LEAVES = 40  # more names beside the tree would overlap
LEAF_NAME = 20  # characters, so that the tree keeps its room
HEIGHTS = (280, 640)  # pixels, least and most
PITCH = 14  # pixels from bar to bar, where there is room
BY_HAND = "by hand"

RULE_NAMES = {
    "recursive": "recursive (Atienza 2019)",
    "single_pass": "single pass (one round of it)",
    "shifted": "shifted (recursive, one bar fewer)",
    "relative_entropy": "relative entropy (Atienza 2016)",
    EVERY_BAR: "every bar of positive length",
}


def barcode_html(result: Barcode) -> str:
    """Return the page of a barcode as one HTML document that needs nothing else.

    Of more than MOST_DRAWN bars the longest are drawn, and the page says so; its numbers are of all.

    Raises:
        ImportError: if plotly, jinja2 or scipy is missing.
    """
    return _render("barcode.html", barcode_page(result))


def write_barcode(result: Barcode, path: str | Path) -> None:
    """Write the page of a barcode to a file, whole or not at all; its folder is made if it is missing."""
    write_text(path, barcode_html(result))


def barcode_page(result: Barcode) -> dict[str, Any]:
    """Return everything the template barcode.html needs."""
    drawn = min(len(result.lengths), MOST_DRAWN)
    figures = [bars_figure(result, drawn), tree_figure(result, drawn)] if drawn else []
    return {
        "result": result,
        "title": result.title or "Barcode",
        "facts": _facts(result),
        "drawn": drawn,
        "figures": figures,
        "rule_names": [(rule.rule, RULE_NAMES.get(rule.rule, rule.rule)) for rule in result.rules],
        "by_hand": BY_HAND,
        "rules": json.dumps({rule.rule: rule.model_dump() for rule in result.rules}),
        "entropies": json.dumps(rounded_entropies(result, drawn)),
        "chosen": result.selected(),
        "number": number,
        "longest": [
            (number(length), result.name(one), result.name(other))
            for length, one, other in result.longest(LISTED)
        ],
    }


def rounded_entropies(result: Barcode, most: int) -> list[float]:
    """Return the persistent entropy of the k longest bars, for k = 0 to `most`, to six decimals.

    With S_k the sum of these bars and T_k that of l ln l, it is ln S_k - T_k / S_k.
    """
    unit = result.lengths[-1] if result.lengths and result.lengths[-1] > 0 else 1.0
    total = logs = 0.0
    entropies = [0.0]
    for length, _, _ in result.longest(most):
        share = length / unit
        total += share
        logs += share * math.log(share) if share > 0 else 0.0
        entropies.append(round(max(math.log(total) - logs / total, 0.0), 6) if total > 0 else 0.0)
    return entropies


def _facts(result: Barcode) -> list[tuple[str, str]]:
    lengths = result.lengths
    facts = [("points", str(result.n)), ("dimensions", str(result.d))]
    if result.sampled_from is not None:
        facts.append(("drawn from", f"{result.sampled_from} points"))
    facts.append(("bars", str(len(lengths))))
    if lengths:
        facts += [
            ("of length zero", str(sum(length == 0 for length in lengths))),
            ("longest", number(lengths[-1])),
            ("median", number(median(lengths))),
            ("total", number(sum(lengths))),
        ]
    return facts


def item_text(result: Barcode, point: int) -> str:
    """Return the name of a point for a hover box: escaped, on at most ITEM_LINES lines."""
    lines = wrap(result.name(point), LABEL_LENGTH, max_lines=ITEM_LINES, placeholder="…")
    return "<br>".join(label(line) for line in lines)


def bars_figure(result: Barcode, drawn: int) -> Figure:
    """Return the longest bars from the top."""
    bars = result.longest(drawn)
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": rounded(length for length, _, _ in bars),
        "y": [place + 0.5 for place in range(drawn)],
        "width": 0.72 if drawn <= HEIGHTS[1] // 3 else 1,
        "marker": {"color": "var(--unselected)", "line": {"width": 0}},
        "customdata": [[item_text(result, one), item_text(result, other)] for _, one, other in bars],
        "hovertemplate": "<b>%{x:.4g}</b><br>%{customdata[0]}<br>joins<br>%{customdata[1]}<extra></extra>",
        "meta": 1,
    }
    look = _look(result, drawn)
    look["yaxis"] |= {"visible": False, "range": [drawn, 0]}
    look |= {"bargap": 0, "barmode": "overlay"}
    alt = f"Barcode, longest bar first: {drawn} bars from {result.lengths[-1]:.4g} down to {bars[-1][0]:.4g}."
    return Figure("bars", "Bars", look, [View("bars", alt, [trace])])


class _Node(NamedTuple):
    """A cluster in the drawing: the height at which it formed, and where its line runs."""

    height: float
    y: float


def tree_figure(result: Barcode, drawn: int) -> Figure:
    """Return the dendrogram of the highest merges: what lies below them is drawn as one line each."""
    merges, leaves, nodes = _laid_out(result, drawn)
    x: list[float | None] = []
    y: list[float | None] = []
    for merge in merges:  # a bracket: from one cluster up, over to the other, and back down to it
        one, other = nodes[merge.first], nodes[merge.second]
        x += [*rounded([one.height, merge.height, merge.height, other.height]), None]
        y += [one.y, one.y, other.y, other.y, None]
    bars = result.longest(drawn)
    tops = {
        "type": "scatter",
        "mode": "markers",
        "x": rounded(merge.height for merge in merges),
        "y": [nodes[merge.number].y for merge in merges],
        "marker": {"color": "var(--unselected)", "size": 7 if drawn <= NAMED_LEAVES else 4},
        "customdata": [
            [item_text(result, one), item_text(result, other), merge.size]
            for merge, (_, one, other) in zip(merges, bars, strict=True)
        ],
        "hovertemplate": "<b>%{x:.4g}</b>: %{customdata[2]} points below<br>%{customdata[0]}<br>joins<br>"
        "%{customdata[1]}<extra></extra>",
        "cliponaxis": False,
        "meta": 1,
    }
    lines = {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": "var(--unselected)", "width": 1.4 if drawn <= 200 else 0.8},
        "hoverinfo": "skip",
        "meta": 5,
    }
    look = _look(result, drawn)
    look["yaxis"] |= {"range": [len(leaves) + 0.5, -0.5], "showgrid": False, "visible": False}
    if len(leaves) <= NAMED_LEAVES and drawn == len(result.lengths):
        names = [label(_cut(result.name(leaf))) for leaf in leaves]
        places = [nodes[leaf].y for leaf in leaves]
        look["yaxis"] |= {"visible": True, "tickvals": places, "ticktext": names}
    top = merges[0]
    alt = (
        f"Single-linkage tree of {result.n} points, {drawn} merges drawn, the highest at {top.height:.4g}; "
        f"it joins {top.size} points."
    )
    return Figure("tree", "Tree", look, [View("tree", alt, [lines, tops])])


class _Merge(NamedTuple):
    """A row of the linkage: cluster `number` of `size` points, made of two others."""

    number: int
    first: int
    second: int
    height: float
    size: int


def _laid_out(result: Barcode, drawn: int) -> tuple[list[_Merge], list[int], dict[int, _Node]]:
    """Return the highest merges, highest first, the clusters at the ends of the drawing, and their places."""
    import torch  # here, so that reports of other results load without it

    from conescope.topology.dendrogram import linkage_of_edges

    linkage = linkage_of_edges(
        torch.tensor(result.edges, dtype=torch.int64),
        torch.tensor(result.lengths, dtype=torch.float64),
    ).tolist()
    n = result.n

    def merge_of(cluster: int) -> _Merge:
        first, second, height, size = linkage[cluster - n]
        return _Merge(cluster, int(first), int(second), height, int(size))

    def size_of(cluster: int) -> int:
        return 1 if cluster < n else int(linkage[cluster - n][3])

    lowest = 2 * n - 1 - drawn  # the first cluster whose merge is drawn
    leaves: list[int] = []
    waiting = [2 * n - 2]
    while waiting:  # no recursion: a chain of points is as deep as it is long
        cluster = waiting.pop()
        if cluster < lowest:
            leaves.append(cluster)
        else:
            merge = merge_of(cluster)
            waiting += sorted((merge.first, merge.second), key=size_of)  # the larger one is drawn first
    nodes = {
        leaf: _Node(merge_of(leaf).height if leaf >= n else 0.0, place + 0.5)
        for place, leaf in enumerate(leaves)
    }
    merges = [merge_of(cluster) for cluster in range(lowest, 2 * n - 1)]
    for merge in merges:
        middle = (nodes[merge.first].y + nodes[merge.second].y) / 2
        nodes[merge.number] = _Node(merge.height, float(f"{middle:.7g}"))
    return merges[::-1], leaves, nodes


def _look(result: Barcode, drawn: int) -> Json:
    """Return the layout of both figures, which share the axis of lengths and the height."""
    look = layout(axis("distance"), axis())
    longest = result.lengths[-1]
    look["xaxis"] |= {"range": [0, longest * 1.03 if longest > 0 else 1.0]}
    look["margin"] = {"l": 8, "r": 8, "t": 4, "b": 44}
    look["hoverlabel"] |= {"align": "left"}
    look["height"] = min(max(drawn * PITCH + 60, HEIGHTS[0]), HEIGHTS[1])
    return look


def _cut(text: str) -> str:
    text = shortened(text)
    return text if len(text) <= LEAF_NAME else text[: LEAF_NAME - 1] + "…"
