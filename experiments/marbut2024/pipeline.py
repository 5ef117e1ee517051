"""The whole pipeline of Marbut et al. (2024) on one model: noise, measures, fine-tuning, correlations.

    python -m experiments.marbut2024.pipeline --data FOLDER --folder WORK

from the root of the repository writes pipeline.json and pipeline.md. FOLDER holds wikitext2/valid.txt and
test.txt, cola/train.tsv and dev.tsv, mrpc/train.tsv and dev.tsv; WORK gets the model and a file for each run,
and the same command goes on where it was stopped.
"""

import argparse
import json
import platform
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from experiments.godey2023.models import folder_of
from experiments.marbut2024.pipeline_table import table

from conescope._intervals import jackknife_interval
from conescope.measures import MEASURES
from conescope.perturb import Budget, Task, read_task, sample_sequences, study
from conescope.perturb.given_dose import FEWEST, conditions, rank_correlations
from conescope.predict.model import rank_among
from conescope.results import Perturbation, ScoredTask

HERE = Path(__file__).parent
COMMAND = "python -m experiments.marbut2024.pipeline --data FOLDER --folder WORK"

# Unit noise, as published, and percentages of the published grid. At 5 the noise is as large as the weights,
# and after 1,000 examples the model guesses the larger class: more levels beyond would all have one score.
# So most of the levels lie below, where scores differ; 20 stands for what is left when noise is all there is.
LEVELS = (0, 0.5, 1, 1.5, 2, 3, 5, 20)
REPEATS, SEED = 3, 1
SEQUENCES, POINTS = 200, 2048  # of WikiText-2; the points that measures of pairs and cells look at
BUDGET = Budget(examples=1000, epochs=3.0, lr=1e-4, batch_size=32, max_length=64, precision="bf16")
PERMUTATIONS = 4999
JACKKNIFE = 12  # groups of two runs: none takes all three runs of a level away
COLUMNS = {
    "cola": {"text": "sentence"},
    "mrpc": {"text": "sentence1", "pair": "sentence2"},
}


def tasks(data: Path) -> list[Task]:
    """Return CoLA and MRPC."""
    return [
        read_task(name, data / name / "train.tsv", data / name / "dev.tsv", **columns)
        for name, columns in COLUMNS.items()
    ]


def perturbed(data: Path, model: Path, folder: Path, given: list[Task]) -> Perturbation:
    """Return the measures and scores of 24 models; each run is said as it begins."""
    texts = sample_sequences(
        [data / "wikitext2" / "valid.txt", data / "wikitext2" / "test.txt"], SEQUENCES, seed=0
    )
    started = time.monotonic()

    def stage(what: str) -> None:
        print(f"{(time.monotonic() - started) / 60:6.2f} min  {what}", flush=True)

    return study(
        model,
        texts,
        percents=LEVELS,
        repeats=REPEATS,
        seed=SEED,
        measures=[row.name for row in MEASURES.values() if row.needs == "nothing"],
        sample=POINTS,
        path=folder,
        title="MiniLM-L6",
        tasks=given,
        budget=BUDGET,
        stage=stage,
    )


def joined(found: Perturbation, task: ScoredTask, measure: str) -> np.ndarray:
    """Return percent, measure and score of the runs in which the measure is a number, (3, n)."""
    measured = {(run.percent, run.seed): run.measurement for run in found.runs}
    rows = []
    for run in task.runs:
        seed = run.seed if run.percent else found.seed  # without noise there is one measurement
        value = measured[run.percent, seed].measured(measure).value
        if value is not None and np.isfinite(value):
            rows.append((run.percent, value, run.scores[task.main_score]))
    return np.array(rows, dtype=np.float64).reshape(-1, 3).T


def correlated(measure: str, columns: np.ndarray) -> list[dict[str, object]]:
    """Return the rank correlations with their jackknife intervals and the p of permutations.

    Scores are shuffled among all runs for the plain correlation, and among the runs of one level for the
    partial ones: where only the dose acts, these can be exchanged. Nothing for a measure that is a number in
    fewer than three runs, or constant in all of them.
    """
    percents, values, scores = columns
    if len(scores) < FEWEST:
        return []
    shuffled = {True: _shuffled(scores, np.zeros_like(percents)), False: _shuffled(scores, percents)}
    found = []
    for place, one in enumerate(rank_correlations(measure, percents, values, scores)):

        def of(rows: np.ndarray, place: int = place) -> float:
            again = rank_correlations(measure, percents[rows], values[rows], scores[rows])[place].value
            return np.nan if again is None else again

        if one.value is None:
            continue
        draws = drawn(conditions(percents)[place][1], values, shuffled[not one.given])
        center = draws.mean()  # shuffles within levels keep the curve of the dose that ranks leave
        reached = int((np.abs(draws - center) >= abs(one.value - center) - 1e-12).sum())
        found.append(
            {
                "given": list(one.given),
                "value": one.value,
                "interval": jackknife_interval(of, len(scores), groups=JACKKNIFE),
                "p": (1 + reached) / (1 + PERMUTATIONS),
            }
        )
    return found


def drawn(held: np.ndarray, values: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the rank correlations of values (n,) with rows of scores (draws, n), given held (n, m)."""
    basis, _ = np.linalg.qr(np.column_stack([np.ones(len(values)), held]))
    rows = np.vstack([values, scores])
    ranks = np.stack([rank_among(np.sort(row), row) for row in rows])
    left = ranks - ranks @ basis @ basis.T
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    return left[1:] @ left[0]


def _shuffled(scores: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return PERMUTATIONS rows of scores, shuffled within levels."""
    rows = np.tile(scores, (PERMUTATIONS, 1))
    generator = np.random.default_rng(0)
    for level in np.unique(levels):
        mine = np.flatnonzero(levels == level)
        rows[:, mine] = generator.permuted(rows[:, mine], axis=1)
    return rows


def holm(p: list[float]) -> list[float]:
    """Return p corrected for as many tests, step down (Holm 1979)."""
    order = np.argsort(p)
    steps = np.asarray(p)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected.tolist()


def analyzed(found: Perturbation, task: ScoredTask) -> dict[str, object]:
    """Return what each measure has to do with a task's score, and how noisy the score is."""
    rows = {name: correlated(name, joined(found, task, name)) for name in found.names()}
    kinds = {tuple(one["given"]) for row in rows.values() for one in row}
    for given in kinds:  # one family of tests for each kind of correlation
        family = [one for row in rows.values() for one in row if tuple(one["given"]) == given]
        for one, p in zip(family, holm([one["p"] for one in family]), strict=True):
            one["holm"] = p
    score = task.main_score
    levels = {percent: task.values(score, percent) for percent in found.percents()}
    return {
        "score": score,
        "train_examples": task.train_examples,
        "dev_examples": task.dev_examples,
        "levels": {f"{percent:g}": list(values) for percent, values in levels.items()},
        "deviation_without_noise": task.noise(score),
        "deviation_within_levels": float(
            np.sqrt(np.mean([np.var(each, ddof=1) for percent, each in levels.items() if percent]))
        ),
        "measures": {name: row for name, row in rows.items() if row},
        "undefined_or_constant": [name for name, row in rows.items() if not row],
    }


def collected(found: Perturbation, minutes: float) -> dict[str, object]:
    """Return all that is committed; `minutes` are those since the command was last started."""
    return {
        "command": COMMAND,
        "minutes_since_last_start": round(minutes, 1),
        "machine": {"processor": platform.processor() or platform.machine()},
        "versions": {name: version(name) for name in ("conescope", "torch", "transformers", "numpy")},
        "levels": found.percents(),
        "repeats": found.repeats,
        "sequences": found.inputs,
        "tokens": found.runs[0].measurement.n,
        "points": POINTS,
        "permutations": PERMUTATIONS,
        "median_deviation_of_weights": found.spread,
        "budget": found.tasks[0].budget,
        "measured": {
            name: [
                [run.percent, run.seed, _finite(run.measurement.measured(name).value)] for run in found.runs
            ]
            for name in found.names()
        },
        "scores": {task.name: [run.model_dump(exclude={"key"}) for run in task.runs] for task in found.tasks},
        "tasks": {task.name: analyzed(found, task) for task in found.tasks},
        "notes": found.notes,
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else value


def main() -> None:
    """Run what is missing in the folder, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="folder of MiniLM, if it is unpacked already")
    given = parser.parse_args()
    started = time.monotonic()
    model = given.model or folder_of("minilm", given.folder / "models")
    found = perturbed(given.data, model, given.folder, tasks(given.data))
    results = collected(found, (time.monotonic() - started) / 60)
    (HERE / "pipeline.json").write_text(json.dumps(results, indent=1, allow_nan=False) + "\n")
    (HERE / "pipeline.md").write_text(table(results))


if __name__ == "__main__":
    main()
