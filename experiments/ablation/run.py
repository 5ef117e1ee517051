"""Every regularizer on every task: does one lower anisotropy without costing the score?

    python -m experiments.ablation.run STUDY --data FOLDER --runs FOLDER

FOLDER of the data holds cola/, mrpc/ and rte/, each with train.tsv and dev.tsv. FOLDER of the runs takes
what each run leaves; the same call again goes on where it was, and several at once divide the runs.
`STUDIES` says what there is. Weights are chosen on a split of the training data of `bbc-low`, with a seed
that no reported run has. `cola` has the published regularizer and those three that lowered anisotropy most
on `bbc-low`, with the weights they had there, so it also shows whether a setting travels. The tasks that
came after it have the published one and the one that is recommended. `front-bbc-low` has arms of its own
and chooses their weights in the same way. The arms of the batch sizes have published weights.
`mpnet-mrpc-low-again` asks with new seeds what `mpnet-mrpc-low` left open: does the score fall?
"""

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path

from experiments.ablation.tasks import TASKS, few
from experiments.encoders.embed import weights

from conescope.ablation import Plan, ablate, parse_arm
from conescope.ablation.arms import ArmSpec
from conescope.results import Ablation
from conescope.training.recipe import Recipe

SELECTION_SEED = 100
GRID = (0.01, 0.1, 1.0)
TUNED_ON = "bbc-low"
PUBLISHED = ("persistent-entropy:weight=1", "persistent-entropy:selection=None;weight=1")
RECOMMENDED = "spectral-entropy:weight=0.1"  # after `bbc-low`, `cola` and two small models
CHOSEN = (  # their weights are chosen
    "persistent-entropy:selection=None;sphere=true",
    "iso-score",
    "cosine",
    "koleo",
    "variance-covariance",
    "sliced-gaussian",
    "spectral-entropy",
    "uniformity",
)
FRONT = (  # what might lower anisotropy more, or at less cost
    "persistent-entropy:sphere=true",
    "persistent-entropy:selection=None;sphere=true;memory=512",
    "persistent-entropy:selection=None;sphere=true;layers=-1+3",
    "persistent-entropy:balanced=0.05",
    "spectral-entropy:balanced=0.05",
    "koleo:normalize=false;per_class=true",  # log distances that know the scale
    "spectral-entropy:per_class=true",
)
BATCHES = (8, 32, 128)
REMEMBERING = ("persistent-entropy:weight=1", "persistent-entropy:weight=1;memory=512")


@dataclass(frozen=True)
class Study:
    """A model on a task, with arms."""

    task: str
    model: str = "minilm"
    examples: int | None = None  # to train on; None is all
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    max_length: int = 128
    batch_size: int = 64
    epochs: float = 3.0
    arms: tuple[str, ...] = (PUBLISHED[0], RECOMMENDED)
    carried: int = 0  # arms from `TUNED_ON` besides


STUDIES = {
    TUNED_ON: Study("bbc", examples=2000, max_length=64, arms=(*PUBLISHED, *CHOSEN)),
    "cola": Study("cola", arms=PUBLISHED[:1], carried=3),
    "mrpc": Study("mrpc"),
    "rte": Study("rte"),
    "bbc": Study("bbc", examples=10_000, seeds=(0, 1, 2), max_length=64, epochs=1.0),
    "mpnet-cola-low": Study("cola", "mpnet", 2000, (0, 1, 2)),
    "mpnet-mrpc-low": Study("mrpc", "mpnet", 1000, (0, 1, 2)),
    "mpnet-mrpc-low-again": Study("mrpc", "mpnet", 1000, (3, 4, 5, 6, 7)),
    **{
        f"bbc-low-batch-{size}": Study(
            "bbc", "minilm", 1000, (0, 1, 2), max_length=64, batch_size=size, arms=REMEMBERING
        )
        for size in BATCHES
    },
    "front-bbc-low": Study("bbc", examples=2000, seeds=(0, 1, 2), max_length=64, arms=FRONT),
}


def plan(name: str, data: Path, runs: Path) -> Plan:
    """Return the plan of a study; one that carries arms on needs those of `TUNED_ON`."""
    study = STUDIES[name]
    task = TASKS[study.task](data)
    train = task.train if study.examples is None else few(task.train, study.examples)
    arms = [parse_arm(text) for text in study.arms]
    if study.carried:
        arms += carried(tuned(runs), study.carried)
    return Plan(
        title=f"{study.model} on {name.removeprefix('mpnet-')}",
        recipe=Recipe(
            model=weights(study.model, runs),
            epochs=study.epochs,
            lr=1e-4,
            batch_size=study.batch_size,
            max_length=study.max_length,
        ),
        train=train,
        dev=task.dev,
        classes=task.classes,
        arms=(ArmSpec(), *arms),
        seeds=study.seeds,
        weights="auto",
        grid=GRID,
        selection_seeds=(SELECTION_SEED,),
        curve_every=0.5,
        keep_embeddings=False,
    )


def tuned(runs: Path) -> Ablation:
    """Return the finished study of `TUNED_ON`, with the weights that it chose."""
    path = runs / TUNED_ON / "ablation.json"
    if not path.is_file():
        raise SystemExit(f"{path} is not there; run {TUNED_ON} first, which chooses arms and weights")
    found = Ablation.model_validate_json(path.read_bytes())
    if found.notes and "runs are finished" in found.notes[0]:
        raise SystemExit(f"{path}: {found.notes[0]}; run {TUNED_ON} to its end first")
    return found


def carried(found: Ablation, count: int) -> list[ArmSpec]:
    """Return the arms to try on other tasks: of those whose weight was chosen, the most isotropic.

    Only an arm counts whose score is not worse than plain training's beyond noise.
    """
    weights = {choice.arm: choice.weight for choice in found.choices}
    worse = {
        each.arm for each in found.differences if each.name == found.main_score and each.verdict == "worse"
    }
    points = [point for point in found.front if point.arm in weights and point.arm not in worse]
    points = sorted(points, key=lambda point: point.anisotropy)[:count]
    return [parse_arm(point.arm).with_weight(weights[point.arm]) for point in points]


class Teller:
    """Prints a line at the start and the end of each run."""

    def __init__(self) -> None:
        self.last: tuple[str, int] | None = None

    def __call__(self, arm: str, seed: int, step: int, steps: int, loss: float) -> None:
        if (arm, seed) != self.last or step == steps:
            self.last = arm, seed
            print(f"{time.strftime('%H:%M:%S')} {arm}, seed {seed}: {step} of {steps}", flush=True)


def main() -> None:
    """Run the studies that the command line names."""
    asked = argparse.ArgumentParser(description="Every regularizer on every task, paired by seed.")
    asked.add_argument("studies", nargs="+", choices=list(STUDIES), metavar="STUDY")
    asked.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    asked.add_argument("--runs", type=Path, required=True, metavar="FOLDER")
    wanted = asked.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"  # the weights are here; never ask a hub
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    wanted.runs.mkdir(parents=True, exist_ok=True)
    for name in wanted.studies:
        began = time.perf_counter()
        command = f"python -m experiments.ablation.run {name} --data FOLDER --runs FOLDER"
        found = ablate(
            plan(name, wanted.data, wanted.runs), wanted.runs / name, command=command, progress=Teller()
        )
        print(f"{name}: {(time.perf_counter() - began) / 60:.0f} minutes. {found.verdict}", flush=True)


if __name__ == "__main__":
    main()
