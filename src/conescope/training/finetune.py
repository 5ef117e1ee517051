"""Fine-tune a classifier with and without a regularizer under the same seeds, and compare.

The folder of an experiment holds `experiment.json` (its settings), for each arm and seed a folder with
the run's checkpoints, its result and its embeddings, and `result.json`. Runs that are there are not
repeated, and a run that was stopped goes on from its last checkpoint, so the same call resumes.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from conescope._files import whole_file, write_text
from conescope.losses import PersistentEntropyLoss
from conescope.results import Arm, Difference, FineTuning, Run
from conescope.topology import Rule
from conescope.training.comparison import differences, verdict_sentence
from conescope.training.scores import main_score
from conescope.training.single_run import (
    Recipe,
    chosen_device,
    chosen_precision,
    embed,
    encode,
    load_model,
    load_tokenizer,
    train_run,
)
from conescope.training.snapshot import snapshot
from conescope.training.tables import LabelledTexts

PLAIN = "plain"
Progress = Callable[[str, int, int, int, float], None]  # arm, seed, step, steps in all, loss of the task


@dataclass(frozen=True)
class PersistentEntropy:
    """The settings of the regularizer of one arm."""

    weight: float = 1.0
    selection: Rule | None = "recursive"
    min_points: int = 5

    def __post_init__(self) -> None:
        self.loss()  # refuses what it can not use before anything is trained

    @property
    def name(self) -> str:
        weight = "" if self.weight == 1 else f" x{self.weight:g}"
        return f"persistent-entropy ({self.selection or 'all bars'}){weight}"

    def loss(self) -> PersistentEntropyLoss:
        return PersistentEntropyLoss(self.weight, self.selection, self.min_points)


@dataclass(frozen=True)
class Experiment:
    """Everything that determines the numbers. None among the arms is plain training."""

    title: str
    recipe: Recipe
    train: LabelledTexts
    dev: LabelledTexts
    classes: tuple[str, ...]
    arms: tuple[PersistentEntropy | None, ...]
    seeds: tuple[int, ...]

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings, with the data as a hash: what must agree for a folder to be resumed."""
        settings = dataclasses.asdict(self.recipe)
        settings |= {
            "arms": [arm and dataclasses.asdict(arm) for arm in self.arms],
            "seeds": list(self.seeds),
        }
        for part in ("train", "dev"):
            data: LabelledTexts = getattr(self, part)
            text = json.dumps([data.texts, data.pairs, data.labels])
            settings[f"{part}_sha256"] = hashlib.sha256(text.encode()).hexdigest()
        return settings


def finetune(
    experiment: Experiment,
    folder: str | Path,
    *,
    command: str = "",
    arguments: dict[str, Any] | None = None,
    save_models: bool = True,
    progress: Progress = lambda arm, seed, step, steps, loss: None,
) -> FineTuning:
    """Train every arm with every seed, write `result.json` in the folder, and return what it says.

    Raises:
        ValueError: if the folder holds another experiment, or the model or a setting is not usable.
    """
    folder = Path(folder)
    recipe = experiment.recipe
    tokenizer = load_tokenizer(recipe)
    _claim(folder, experiment)
    train, dev = (encode(data, tokenizer, recipe.max_length) for data in (experiment.train, experiment.dev))
    labels = torch.tensor(experiment.dev.labels)
    untrained: list[Tensor] = []  # the embeddings before training are the same for all arms and seeds

    def take(arm: PersistentEntropy | None, seed: int) -> Run:
        name = arm.name if arm is not None else PLAIN
        place = folder / _slug(name) / f"seed-{seed}"
        if (place / "run.json").is_file():
            return _read_run(place / "run.json")
        if not untrained:
            untrained.append(embed(load_model(recipe, tokenizer, experiment.classes), dev, tokenizer, recipe))
        trained, model = train_run(
            recipe,
            train,
            dev,
            experiment.classes,
            tokenizer,
            place,
            seed=seed,
            regularizer=arm.loss() if arm is not None else None,
            on_step=lambda step, steps, loss: progress(name, seed, step, steps, loss),
        )
        rule = arm.selection if arm is not None else "recursive"
        before, after = (
            snapshot(points, labels, experiment.classes, cloud=recipe.batch_size, rule=rule)
            for points in (untrained[0], trained.points)
        )
        run = Run(
            seed=seed,
            history=tuple(trained.history),
            evaluations=tuple(trained.evaluations),
            scores=trained.scores,
            before=before,
            after=after,
            steps=trained.steps,
            step_seconds=trained.step_seconds,
            regularizer_seconds=trained.regularizer_seconds,
            predictions=tuple(trained.predictions),
        )
        if save_models:
            model.save_pretrained(place / "model")
            tokenizer.save_pretrained(place / "model")
        with whole_file(place / "embeddings.safetensors") as path:
            save_file({"points": trained.points, "labels": labels}, path)
        write_text(place / "run.json", run.model_dump_json())
        shutil.rmtree(place / "checkpoints", ignore_errors=True)
        return run

    runs: dict[PersistentEntropy | None, list[Run]] = {arm: [] for arm in experiment.arms}
    for seed in experiment.seeds:  # seed by seed, so that a drift of the machine's speed falls on all arms
        for arm in experiment.arms:
            runs[arm].append(take(arm, seed))
    arms = tuple(
        Arm(
            name=arm.name if arm is not None else PLAIN,
            regularizer=None if arm is None else {"name": "persistent-entropy", **dataclasses.asdict(arm)},
            runs=tuple(found),
        )
        for arm, found in runs.items()
    )

    def points(arm: str, seed: int) -> Tensor:
        return load_file(folder / _slug(arm) / f"seed-{seed}" / "embeddings.safetensors")["points"]

    result = _result(experiment, arms, _compare(arms, labels, points), command, arguments or {})
    write_text(folder / "result.json", result.model_dump_json())
    return result


def _compare(arms: tuple[Arm, ...], labels: Tensor, points: Callable[[str, int], Tensor]) -> list[Difference]:
    plain = next((arm for arm in arms if arm.regularizer is None), None)
    if plain is None:
        return []
    treated = [arm for arm in arms if arm.regularizer is not None]
    return [difference for arm in treated for difference in differences(plain, arm, labels, points)]


def _result(
    experiment: Experiment,
    arms: tuple[Arm, ...],
    found: list[Difference],
    command: str,
    arguments: dict[str, Any],
) -> FineTuning:
    score = main_score(len(experiment.classes))
    settings = experiment.fingerprint()
    device = chosen_device(experiment.recipe.device)
    return FineTuning(
        title=experiment.title,
        verdict=verdict_sentence(found, score, len(experiment.seeds)),
        command=command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        arguments=arguments or dataclasses.asdict(experiment.recipe),
        versions=_versions(),
        hardware=_hardware(device, chosen_precision(experiment.recipe.precision, device)),
        data={
            "train_examples": len(experiment.train),
            "dev_examples": len(experiment.dev),
            "train_sha256": settings["train_sha256"],
            "dev_sha256": settings["dev_sha256"],
        },
        classes=experiment.classes,
        main_score=score,
        arms=arms,
        differences=tuple(found),
        notes=_notes(arms),
    )


def _notes(arms: tuple[Arm, ...]) -> tuple[str, ...]:
    """Return what went on in training that a reader of the numbers must know."""
    notes = []
    for arm in arms:
        skipped, share = _logged_mean(arm, "classes_skipped"), _logged_mean(arm, "gradient_share")
        if skipped > 0:
            notes.append(f"{arm.name}: {skipped:.2f} classes a batch had too few points and were skipped")
        if share > 0.5:
            notes.append(
                f"{arm.name}: {share:.0%} of the gradient at the embeddings came from the regularizer, "
                "more than from the task; a smaller weight would leave the task in charge"
            )
    return tuple(notes)


def _logged_mean(arm: Arm, name: str) -> float:
    values = [row[name] for run in arm.runs for row in run.history if name in row]
    return sum(values) / len(values) if values else 0.0


def _claim(folder: Path, experiment: Experiment) -> None:
    """Write the settings into the folder, or check that those in it are the same."""
    path = folder / "experiment.json"
    wanted = json.loads(json.dumps(experiment.fingerprint()))
    if not path.is_file():
        write_text(path, json.dumps(wanted, indent=1))
        return
    try:
        there = json.loads(path.read_text())
    except ValueError as problem:
        raise ValueError(f"{path} is not readable; remove the folder or give another one") from problem
    different = [name for name in wanted if there.get(name) != wanted[name]]
    if different:
        name = different[0]
        raise ValueError(
            f"{folder} holds an experiment with {name} = {there.get(name)}, now it is {wanted[name]}; "
            "give another folder, or remove this one"
        )


def _read_run(path: Path) -> Run:
    try:
        return Run.model_validate_json(path.read_bytes())
    except ValidationError as problem:
        raise ValueError(
            f"{path} is not a run of this version; remove its folder to repeat the run"
        ) from problem


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() or c == "." else " " for c in name).split())


def _versions() -> dict[str, str]:
    packages = ("conescope", "torch", "transformers", "accelerate", "numpy", "scikit-learn", "scipy")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in packages
    }


def _hardware(device: torch.device, precision: str) -> dict[str, Any]:
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "precision": precision,
        "system": platform.platform(terse=True),
    }


def _processor() -> str:
    """Return the name of the processor where the system tells it, else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
