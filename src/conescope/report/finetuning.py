"""The page of a fine-tuning comparison: what its template shows, worked out from the result."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from conescope.report.barcodes import barcode_figure, barcode_sides
from conescope.report.curves import training_figures
from conescope.report.drawing import arm_color, class_color, class_symbol, seeds, shortened
from conescope.report.figures import map_figures, spectrum_figure
from conescope.report.tables import Row, data, difference_row, measured, run_table
from conescope.report.wording import HEADLINE, SIGNS, decimals, meaning, spoken
from conescope.results import Arm, Difference, FineTuning, Measurement

KINDS = {"task": "Task", "geometry": "Geometry", "time": "Time"}


def finetuning_page(result: FineTuning) -> dict[str, Any]:
    """Return everything the template finetuning.html needs."""
    training = training_figures(result)
    spectrum, barcode, maps = spectrum_figure(result), barcode_figure(result), map_figures(result)
    names = list(dict.fromkeys(difference.name for difference in result.differences))
    return {
        "result": result,
        "score_name": spoken(result.main_score),
        "cards": [_card(result, arm) for arm in result.arms if arm.regularizer or not result.differences],
        "tables": [_difference_table(result, arm) for arm in result.arms if _of(result, arm)],
        "glossary": [(spoken(name), meaning(name)) for name in names if meaning(name)],
        "arms": [
            (shortened(arm.name), arm_color(result, i), "line", f"arm-{i}")
            for i, arm in enumerate(result.arms)
        ],
        "before": ("before training", "var(--before)", "dashed", "before"),
        "classes": [
            (shortened(name), class_color(i), class_symbol(i), f"class-{i}")
            for i, name in enumerate(result.classes)
        ],
        "seeds": seeds(result),
        "training": training,
        "spectrum": spectrum,
        "barcode": barcode,
        "barcode_sides": barcode_sides(result),
        "maps": maps,
        "runs": run_table(result),
        "measure_notes": _measure_notes(result),
        "facts": _facts(result),
        "figures": [*training, spectrum, barcode, *maps],
    }


def _of(result: FineTuning, arm: Arm) -> list[Difference]:
    return [difference for difference in result.differences if difference.arm == arm.name]


def _card(result: FineTuning, arm: Arm) -> Row:
    """Return the two cards of an arm: against the plain arm where there is one, else before and after."""
    differences = _of(result, arm)
    main = [difference_row(d) for d in differences if d.kind == "task" and d.name == result.main_score]
    geometry = [difference_row(d) for d in differences if d.kind == "geometry" and d.name != HEADLINE]
    headline = [difference_row(d) for d in differences if d.kind == "geometry" and d.name == HEADLINE]
    scores = [run.scores[result.main_score] for run in arm.runs if result.main_score in run.scores]
    return {
        "arm": arm.name,
        "seeds": len(arm.runs),
        "task": main[0] if main else None,
        "score": data(_mean(scores)) if scores else None,
        "headline": headline[0] if headline else None,
        "tally": [
            (sign, count, verdict)
            for verdict, sign in SIGNS.items()
            if (count := sum(row["verdict"] == verdict for row in geometry))
        ],
        "change": [] if differences else _change_rows(arm),
    }


def _difference_table(result: FineTuning, arm: Arm) -> Row:
    rows = {kind: [difference_row(d) for d in _of(result, arm) if d.kind == kind] for kind in KINDS}
    return {"arm": arm.name, "groups": [(KINDS[kind], rows[kind]) for kind in KINDS if rows[kind]]}


def _change_rows(arm: Arm) -> list[Row]:
    """Return each measure before and after, as means over the runs: what one arm alone can say."""
    rows = []
    for name in arm.runs[0].after.measurement.names() if arm.runs else ():
        before = _mean_measure((run.before.measurement for run in arm.runs), name)
        after = _mean_measure((run.after.measurement for run in arm.runs), name)
        places = decimals(max(abs(before or 0), abs(after or 0)))
        rows.append({"name": spoken(name), "before": data(before, places), "after": data(after, places)})
    return rows


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _mean_measure(measurements: Iterable[Measurement], name: str) -> float | None:
    values = [measured(measurement, name) for measurement in measurements]
    known = [value for value in values if value is not None]
    return _mean(known) if known and len(known) == len(values) else None


def _measure_notes(result: FineTuning) -> list[str]:
    """Return the notes of all measurements, each once, and those of single measures with their name."""
    notes: dict[str, None] = {}
    for arm in result.arms:
        for run in arm.runs:
            for measurement in (run.before.measurement, run.after.measurement):
                notes |= dict.fromkeys(measurement.notes)
                collapses = [found for found in measurement.findings if found.level == "collapsed"]
                notes |= {f"{found.title}: {found.evidence}": None for found in collapses}
                notes |= dict.fromkeys(f"{spoken(m.name)}: {m.note}" for m in measurement.values if m.note)
    return list(notes)


def _facts(result: FineTuning) -> list[tuple[str, list[tuple[str, str]]]]:
    tables = {
        "Arguments": result.arguments,
        "Data": result.data,
        "Hardware": result.hardware,
        "Versions": result.versions,
    }
    regularizers = {arm.name: arm.regularizer or "none" for arm in result.arms}
    return [
        (title, [(str(key), _plain_text(value)) for key, value in facts.items()])
        for title, facts in {"Arms": regularizers, **tables}.items()
        if facts
    ]


def _plain_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_plain_text(inner)}" for key, inner in value.items())
    return json.dumps(value, ensure_ascii=False, default=str)
