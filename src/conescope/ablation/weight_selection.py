"""Which weight an arm gets: chosen on a split of the training data. The dev set has no part in it."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from conescope._files import write_text
from conescope.ablation.arms import ArmSpec
from conescope.ablation.division import divide
from conescope.ablation.measuring import geometry_of, seen
from conescope.ablation.paired_error import paired_error
from conescope.ablation.plan import Plan, recipe_settings, run_key
from conescope.ablation.running import Prepared, Progress, slug
from conescope.results.ablation import Choice, Tried
from conescope.training.experiment import data_hash
from conescope.training.single_run import train_model
from conescope.training.tables import LabelledTexts

Job = tuple[ArmSpec, float | None, int]  # arm, weight, seed
PLAIN = ArmSpec()


class Trial(BaseModel):
    """What a run on the split leaves: a file of its own, so that no finished one is repeated."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    predictions: tuple[int, ...]
    scores: dict[str, float]
    geometry: dict[str, float]


def split(train: LabelledTexts, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Return the rows to train on and the rows to validate on, the same for the same seed.

    Each class gives about its share, and at least one example, and keeps at least one.

    Raises:
        ValueError: if a class has fewer than two examples.
    """
    generator = np.random.default_rng(seed)
    labels = np.array(train.labels)
    held: list[int] = []
    for number in np.unique(labels):
        rows = np.flatnonzero(labels == number)
        if len(rows) < 2:
            raise ValueError(f"class number {number} has one example; a split needs two of each class")
        count = min(max(round(share * len(rows)), 1), len(rows) - 1)
        held += generator.permutation(rows)[:count].tolist()
    taken = set(held)
    return [row for row in range(len(labels)) if row not in taken], sorted(held)


def choose(arm: str, tried: Sequence[Tried]) -> Choice:
    """Return the weight with the lowest centered anisotropy_1 among those that do not cost score.

    A weight qualifies if its mean score over the seeds is not below plain training's by more than one
    standard error of the difference. The examples are the same for all seeds, so the errors are averaged and
    not divided by the number of seeds. If none qualifies, it is the weight with the highest score. Of equal
    ones it is the smallest.

    Raises:
        ValueError: if nothing was tried.
    """
    if not tried:
        raise ValueError(f"no weight was tried for {arm}; give a grid of at least one")
    weights = sorted({row.weight for row in tried})
    of = {weight: [row for row in tried if row.weight == weight] for weight in weights}
    difference = {weight: fmean(row.difference for row in rows) for weight, rows in of.items()}
    error = {weight: fmean(row.error for row in rows) for weight, rows in of.items()}
    anisotropy = {
        weight: fmean(row.geometry.get("anisotropy_1", math.inf) for row in rows)
        for weight, rows in of.items()
    }
    qualified = [weight for weight in weights if difference[weight] >= -error[weight]]
    if not qualified:
        best = max(weights, key=lambda weight: (difference[weight], -weight))
        reason = (
            "no weight keeps the score within one standard error of plain training's; "
            f"{best:g} has the highest score, {difference[best]:+.3f} ({error[best]:.3f})"
        )
        return Choice(arm=arm, weight=best, reason=reason)
    best = min(qualified, key=lambda weight: (anisotropy[weight], weight))
    reason = (
        f"of {len(weights)} weights {len(qualified)} keep the score within one standard error of plain "
        f"training's, and {best:g} has the lowest centered anisotropy_1 of these, {anisotropy[best]:.3f}; "
        f"score {difference[best]:+.3f} ({error[best]:.3f})"
    )
    return Choice(arm=arm, weight=best, reason=reason)


def select_weights(
    prepared: Prepared,
    folder: Path,
    progress: Progress,
) -> tuple[list[Tried], list[Choice]]:
    """Try the grid for each arm whose weight is to be chosen; finished tries are read from the folder."""
    plan = prepared.plan
    if not plan.to_choose:
        return [], []
    seeds = plan.selection_seeds or plan.seeds[:1]
    trials = _Trials(prepared, folder, progress)
    plain: list[Job] = [(PLAIN, None, seed) for seed in seeds]
    treated = [(arm, weight, seed) for arm in plan.to_choose for seed in seeds for weight in plan.grid]
    found = trials.made([*plain, *treated])
    tried = [
        trials.compared(arm.name, weight, seed, found[arm, weight, seed], found[PLAIN, None, seed])
        for arm, weight, seed in treated
    ]
    choices = [choose(arm.name, [row for row in tried if row.arm == arm.name]) for arm in plan.to_choose]
    return tried, choices


def plain_trials(prepared: Prepared, folder: Path, progress: Progress) -> list[Trial]:
    """Return plain training on the split, for each seed with which weights were chosen; none if none were."""
    plan = prepared.plan
    if not plan.to_choose:
        return []
    jobs: list[Job] = [(PLAIN, None, seed) for seed in plan.selection_seeds or plan.seeds[:1]]
    return list(_Trials(prepared, folder, progress).made(jobs).values())


class _Trials:
    """The split and its runs."""

    def __init__(self, prepared: Prepared, folder: Path, progress: Progress) -> None:
        plan: Plan = prepared.plan
        self.prepared, self.folder, self.progress = prepared, folder / "selection", progress
        self.rest, self.held = split(plan.train, plan.validation_share, seed=0)
        self.recipe = plan.selection_recipe
        self.settings = recipe_settings(self.recipe) | {
            "classes": list(plan.classes),
            "train_sha256": data_hash(plan.train),
            "validation_share": plan.validation_share,
        }
        self.labels = [plan.train.labels[row] for row in self.held]

    def made(self, jobs: list[Job]) -> dict[Job, Trial]:
        """Return the trials, each made by one of the processes that work in this folder, or long finished."""
        names = {job: self._path(job).stem for job in jobs}
        return dict(divide(names, self.folder.parent / "claims", self._read, self._make))

    def compared(self, arm: str, weight: float, seed: int, treated: Trial, plain: Trial) -> Tried:
        """Return what the weight does against plain training on the same split with the same seed."""
        score = self.prepared.score
        return Tried(
            arm=arm,
            weight=weight,
            seed=seed,
            score=treated.scores[score],
            plain_score=plain.scores[score],
            difference=treated.scores[score] - plain.scores[score],
            error=paired_error(self.labels, treated.predictions, plain.predictions, score),
            geometry=treated.geometry,
        )

    def _path(self, job: Job) -> Path:
        arm, weight, seed = job
        key = run_key({**self.settings, "arm": arm.settings, "weight": weight, "seed": seed})
        return self.folder / f"{slug(arm.name)}-{key}.json"

    def _read(self, job: Job) -> Trial | None:
        path = self._path(job)
        if not path.is_file():
            return None
        try:
            return Trial.model_validate_json(path.read_bytes())
        except ValidationError as problem:
            raise ValueError(f"{path} is not a try of this version; remove it to repeat the try") from problem

    def _make(self, job: Job) -> Trial:
        arm, weight, seed = job
        path = self._path(job)
        name = "choosing weights" if weight is None else f"choosing weights: {arm.name} x{weight:g}"
        train = [self.prepared.train[row] for row in self.rest]
        held = [self.prepared.train[row] for row in self.held]
        place = path.with_suffix("")
        tokenizer = self.prepared.tokenizer
        trainer = train_model(
            self.recipe,
            train,
            None,
            self.prepared.plan.classes,
            tokenizer,
            place,
            seed=seed,
            regularizer=arm.loss(weight),
            on_step=lambda step, steps, loss: self.progress(name, seed, step, steps, loss),
        )
        found = seen(trainer.model, held, tokenizer, self.recipe)
        geometry = geometry_of(found.points, torch.tensor(self.labels))
        trial = Trial(predictions=tuple(found.predictions), scores=found.scores, geometry=geometry)
        write_text(path, trial.model_dump_json())
        shutil.rmtree(place, ignore_errors=True)
        return trial
