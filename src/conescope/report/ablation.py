"""The page of an ablation: which arm helps, where each stands, and every difference with its correction."""

import json
from pathlib import Path
from typing import Any

from conescope._files import write_text
from conescope.ablation.quantities import HEADLINE
from conescope.report.ablation_figures import color, curves_figure, front_figure, symbol, weights_figure
from conescope.report.drawing import shortened
from conescope.report.html import _render
from conescope.report.tables import Row, data
from conescope.report.wording import BETTER, SIGNS, decimals, meaning, number, spoken
from conescope.results import Ablation, AblationArm, PairedDifference

KINDS = {
    "task": "Task",
    "calibration": "Calibration on dev",
    "convergence": "Convergence",
    "generalization": "Generalization",
    "geometry": "Geometry of the dev embeddings",
    "time": "Time",
}
OVERVIEW = ("nll", "ece", "steps_to_reach", "GAP", "regularizer_share")  # GAP: that of the main score
SWATCHES = ("circle", "square", "diamond")
WORDS = {
    "nll": ("Negative log likelihood", "Mean surprise at the right class, in nats."),
    "ece": ("Calibration error", "How far confidence is from accuracy, over bins of confidence: 0 to 1."),
    "steps_to_reach": (
        "Steps to plain's final score",
        "When the dev score first is what plain training of that seed ends with, linear between evaluations.",
    ),
    "nll_gap": ("Generalization gap, NLL", "Negative log likelihood on dev minus that on training examples."),
    "regularizer_share": (
        "Share of a step",
        "Part of a training step that the regularizer takes, without what it does between steps: iso-score "
        "passes over the training data once an epoch.",
    ),
}


def ablation_html(found: Ablation) -> str:
    """Return the page of an ablation as one HTML document that needs nothing else.

    Raises:
        ImportError: if plotly or jinja2 is missing; the message has the line that installs them.
    """
    return _render("ablation.html", ablation_page(found))


def write_ablation(found: Ablation, path: str | Path) -> None:
    """Write the page to a file, whole or not at all; its folder is made if it is missing."""
    write_text(path, ablation_html(found))


def ablation_page(found: Ablation) -> dict[str, Any]:
    """Return everything the template ablation.html needs."""
    drawn = {
        figure.name: figure for figure in (front_figure(found), curves_figure(found), weights_figure(found))
    }
    kept = {name: figure for name, figure in drawn.items() if figure.views}
    tables = [table for arm in found.arms if (table := _arm_table(found, arm))["groups"]]
    names = dict.fromkeys(each.name for each in found.differences)
    return {
        "result": found,
        "score_name": spoken(found.main_score),
        "tiles": _tiles(found),
        "legend": [
            (shortened(arm.name), color(found, i), SWATCHES[symbol(found, i)], f"arm-{i}")
            for i, arm in enumerate(found.arms)
        ],
        "drawn": kept,
        "standing": [_standing(found, arm) for arm in found.arms if arm.runs],
        "overview_names": [_words(found, name) for name in _overview_names(found)],
        "overview": [_overview(found, arm) for arm in found.arms if arm.settings is not None and arm.runs],
        "tables": tables,
        "glossary": [(_words(found, name), text) for name in names if (text := _meaning(found, name))],
        "choices": [(choice.arm, f"{choice.weight:g}", choice.reason) for choice in found.choices],
        "tries": [_try(found, index) for index in range(len(found.tried))],
        "warnings": _warnings(found),
        "facts": _facts(found),
        "figures": list(kept.values()),
    }


def _words(found: Ablation, name: str) -> str:
    if name == f"{found.main_score}_gap":
        return f"Generalization gap, {spoken(found.main_score)}"
    return WORDS[name][0] if name in WORDS else spoken(name)


def _meaning(found: Ablation, name: str) -> str:
    if name == f"{found.main_score}_gap":
        return "The score on training examples minus that on dev, without dropout."
    return WORDS[name][1] if name in WORDS else meaning(name)


def _of(found: Ablation, arm: str, name: str) -> PairedDifference | None:
    return next((each for each in found.differences if (each.arm, each.name) == (arm, name)), None)


def _tiles(found: Ablation) -> list[tuple[str, str]]:
    runs = sum(len(arm.runs) for arm in found.arms)
    return [
        ("model", shortened(Path(str(found.recipe.get("model", "not told"))).name)),
        ("arms", str(len(found.arms))),
        ("seeds", str(len(found.seeds))),
        ("runs", str(runs)),
        ("weights", "selected on a split" if found.choices else "given"),
    ]


def _standing(found: Ablation, arm: AblationArm) -> Row:
    """Return one line of the table beside the front: where an arm is, and what it differs by."""
    point = next((each for each in found.front if each.arm == arm.name), None)
    return {
        "arm": arm.name,
        "weight": "" if arm.weight is None else f"{arm.weight:g}",
        "score": _with_error((point.score, point.score_error) if point else None),
        "task": _change(_of(found, arm.name, found.main_score)),
        "anisotropy": _with_error((point.anisotropy, point.anisotropy_error) if point else None),
        "shape": _change(_of(found, arm.name, HEADLINE)),
        "front": {True: "yes", False: "no", None: "not known"}[point.on_front if point else None],
        "seeds": len(arm.runs),
    }


def _with_error(found: tuple[float, float | None] | None) -> str:
    if found is None:
        return number(None)
    value, error = found
    return number(value) if error is None else f"{number(value)} ± {number(error, decimals(value))}"


def _change(each: PairedDifference | None) -> Row | None:
    """Return a difference in one cell: sign, number, and the simultaneous interval if there is one."""
    if each is None:
        return None
    places = decimals(max(abs(each.plain), abs(each.treated)), each.difference)
    return {
        "sign": SIGNS[each.verdict],
        "verdict": each.verdict,
        "difference": data(each.difference, places, signed=True),
        "low": data(each.adjusted_low, places, signed=True),
        "high": data(each.adjusted_high, places, signed=True),
        "known": each.adjusted_low is not None,
        "seeds": each.seeds,
    }


def _overview_names(found: Ablation) -> list[str]:
    return [f"{found.main_score}_gap" if name == "GAP" else name for name in OVERVIEW]


def _overview(found: Ablation, arm: AblationArm) -> Row:
    changes = [_change(_of(found, arm.name, name)) for name in _overview_names(found)]
    return {"arm": arm.name, "seeds": len(arm.runs), "changes": changes}


def _arm_table(found: Ablation, arm: AblationArm) -> Row:
    mine = [each for each in found.differences if each.arm == arm.name]
    groups = [
        (title, [_row(found, each) for each in mine if each.kind == kind]) for kind, title in KINDS.items()
    ]
    return {"arm": arm.name, "groups": [group for group in groups if group[1]]}


def _row(found: Ablation, each: PairedDifference) -> Row:
    places = decimals(max(abs(each.plain), abs(each.treated)), each.difference)
    return (_change(each) or {}) | {
        "name": _words(found, each.name),
        "better": BETTER[each.better],
        "plain": data(each.plain, places),
        "treated": data(each.treated, places),
        "p": ""
        if each.adjusted_p is None
        else number(each.adjusted_p, 3)
        if each.adjusted_p >= 0.001
        else "< 0.001",
    }


def _try(found: Ablation, index: int) -> Row:
    each = found.tried[index]
    chosen = any((choice.arm, choice.weight) == (each.arm, each.weight) for choice in found.choices)
    return {
        "arm": each.arm,
        "weight": f"{each.weight:g}",
        "seed": each.seed,
        "difference": data(each.difference, signed=True),
        "error": data(each.error),
        "anisotropy": data(each.geometry.get(HEADLINE)),
        "chosen": "chosen" if chosen else "",
    }


def _warnings(found: Ablation) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each arm with its warnings, each once, and the seeds it occurred with."""
    told = []
    for arm in found.arms:
        seeds: dict[str, list[str]] = {}
        for run in arm.runs:
            for warning in dict.fromkeys(run.warnings):
                seeds.setdefault(warning, []).append(str(run.seed))
        if seeds:
            told.append((arm.name, [(text, ", ".join(numbers)) for text, numbers in seeds.items()]))
    return told


def _facts(found: Ablation) -> list[tuple[str, list[tuple[str, str]]]]:
    arms = {arm.name: "plain training" if arm.settings is None else arm.specification for arm in found.arms}
    tables = {
        "Recipe": found.recipe,
        "Data": found.data,
        "Arms": arms,
        "Hardware": found.hardware,
        "Versions": found.versions,
    }
    return [
        (
            title,
            [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in table.items()],
        )
        for title, table in tables.items()
        if table
    ]
