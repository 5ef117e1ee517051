"""One arm with one seed: trained once, measured, and written; or read, where it was finished before."""

import logging
import re
import shutil
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import save_file

from conescope._files import whole_file, write_text
from conescope.ablation.arms import ArmSpec
from conescope.ablation.measuring import (
    Seen,
    finite,
    geometry_of,
    scores_and_nll,
    seen,
    training_sample,
)
from conescope.ablation.paired_error import paired_error
from conescope.ablation.plan import Plan, run_key, shared_settings
from conescope.results.ablation import AblationRun
from conescope.training.encoder import encode, load_tokenizer
from conescope.training.scores import main_score
from conescope.training.signatures import Known, outcome_signatures, training_signatures
from conescope.training.single_run import (
    evaluation_rows,
    median_of,
    steps_an_epoch,
    train_model,
    training_rows,
)

logger = logging.getLogger("conescope")
Progress = Callable[[str, int, int, int, float], None]  # arm, seed, step, steps in all, loss of the task


class Record(BaseModel):
    """What `run.json` holds: the run, and what the comparison with a later one needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    run: AblationRun
    predictions: tuple[int, ...]


class Prepared:
    """What all runs share: tokens and labels, made when they are first asked for."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.score = main_score(len(plan.classes))
        self.shared = shared_settings(plan)

    @cached_property
    def tokenizer(self) -> Any:
        return load_tokenizer(self.plan.recipe)

    @cached_property
    def train(self) -> list[dict[str, Any]]:
        return encode(self.plan.train, self.tokenizer, self.plan.recipe.max_length)

    @cached_property
    def dev(self) -> list[dict[str, Any]]:
        return encode(self.plan.dev, self.tokenizer, self.plan.recipe.max_length)


def place_of(folder: Path, prepared: Prepared, arm: ArmSpec, weight: float | None, seed: int) -> Path:
    """Return the folder of a run. Its name has a hash of all that determines the run's numbers."""
    key = run_key({**prepared.shared, "arm": arm.settings, "weight": weight, "seed": seed})
    return folder / "runs" / f"{slug(arm.name)}-seed-{seed}-{key}"


def slug(name: str) -> str:
    """Return a name that every file system takes."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")[:60]


def read_record(place: Path) -> Record | None:
    """Return the finished run in a folder, or None."""
    path = place / "run.json"
    if not path.is_file():
        return None
    try:
        return Record.model_validate_json(path.read_bytes())
    except ValidationError as problem:
        raise ValueError(
            f"{path} is not a run of this version; remove its folder to repeat the run"
        ) from problem


def run_arm(
    prepared: Prepared,
    arm: ArmSpec,
    weight: float | None,
    seed: int,
    place: Path,
    plain: Record | None,
    progress: Progress,
) -> Record:
    """Return the finished run in the folder, or train it; `run.json`, written last, says that all is there.

    `plain` is the run of plain training with this seed, which the warnings compare with. The seconds of a
    run that was stopped are those since it went on.
    """
    done = read_record(place)
    if done is not None:
        return done
    plan, recipe = prepared.plan, prepared.plan.recipe
    started = time.perf_counter()
    dev = sorted(prepared.dev, key=lambda row: len(row["input_ids"]))  # batches without much padding
    regularizer = arm.loss(weight)
    trainer = train_model(
        recipe,
        prepared.train,
        dev,
        plan.classes,
        prepared.tokenizer,
        place,
        seed=seed,
        regularizer=regularizer,
        on_step=lambda step, steps, loss: progress(arm.name, seed, step, steps, loss),
        evaluate_every=max(1, round(plan.curve_every * steps_an_epoch(recipe, len(prepared.train)))),
    )
    on_dev = seen(trainer.model, prepared.dev, prepared.tokenizer, recipe)
    sample = training_sample(prepared.train, len(prepared.dev))
    on_train = seen(trainer.model, sample, prepared.tokenizer, recipe)
    labels = torch.tensor(plan.dev.labels)
    history = training_rows(trainer)
    geometry = geometry_of(on_dev.points, labels)
    steps = trainer.state.global_step
    warnings: list[str] = []
    if regularizer is not None:
        known = Known.of(regularizer, plan.train.labels, on_dev.points.shape[1])
        signs = training_signatures(history, evaluation_rows(trainer), known)
        outcome = [text for _, text in _against_plain(prepared, on_dev, geometry, plain, history, known)]
        warnings = [*(text for _, text in signs), *outcome]
    else:
        outcome = []
    if not on_dev.calibration:
        text = "the training diverged: logits are not finite; take a smaller weight or learning rate"
        outcome.append(text)
        warnings.append(text)
    for text in outcome:  # the others were logged while training
        logger.warning("%s, seed %d: %s", arm.name, seed, text)
    run = AblationRun(
        arm=arm.name,
        seed=seed,
        scores=on_dev.scores,
        calibration=on_dev.calibration,
        train_scores=scores_and_nll(on_train.scores, on_train.calibration),
        curve=_curve(evaluation_rows(trainer), prepared.score, steps, on_dev),
        geometry=geometry,
        history=tuple(finite(row) for row in history),
        warnings=tuple(warnings),
        steps=steps,
        step_seconds=median_of(history, "step_seconds"),
        regularizer_seconds=median_of(history, "regularizer_seconds"),
        seconds=time.perf_counter() - started,
    )
    record = Record(run=run, predictions=tuple(on_dev.predictions))
    if plan.keep_embeddings:
        with whole_file(place / "embeddings.safetensors") as path:
            save_file({"points": on_dev.points, "logits": on_dev.logits, "labels": labels}, path)
    write_text(place / "run.json", record.model_dump_json())
    shutil.rmtree(place / "checkpoints", ignore_errors=True)
    return record


def _curve(
    evaluations: list[dict[str, float]], score: str, steps: int, last: Seen
) -> tuple[dict[str, float], ...]:
    """Return step, score and NLL of each evaluation; the last step has the numbers of the result."""
    rows = [
        {"step": row["step"], score: row[score], "nll": row["loss"]}
        for row in evaluations
        if row["step"] < steps
    ]
    end = {"step": float(steps), score: last.scores[score], **last.calibration}
    end.pop("ece", None)
    return tuple(finite(row) for row in [*rows, end])


def _against_plain(
    prepared: Prepared,
    on_dev: Seen,
    geometry: dict[str, float],
    plain: Record | None,
    history: list[dict[str, float]],
    known: Known,
) -> list[Any]:
    if plain is None:
        return []
    score = prepared.score
    error = paired_error(prepared.plan.dev.labels, on_dev.predictions, plain.predictions, score)
    return list(
        outcome_signatures(
            geometry.get("anisotropy_1"),
            plain.run.geometry.get("anisotropy_1"),
            on_dev.scores[score] - plain.run.scores[score],
            error,
            history,
            known,
        )
    )
