"""Fine-tune a classifier with and without a regularizer under the same seeds, and compare.

The folder of an experiment holds `experiment.json` (its settings), `device.json` and `versions.json` (what
its runs are made with), for each arm and seed a folder with the run's checkpoints, its result and its
embeddings, and `result.json`. Runs that are there are not repeated, and a run that was stopped goes on from
its last checkpoint, so the same call resumes.
"""

import dataclasses
import functools
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from conescope._devices import chosen_device, chosen_precision
from conescope._files import whole_file, write_text
from conescope.results import Arm, Difference, FineTuning, Run, Snapshot
from conescope.training.comparison import differences, verdict_sentence
from conescope.training.encoder import embed, encode, load_model, load_tokenizer
from conescope.training.experiment import Experiment, PersistentEntropy, claim
from conescope.training.provenance import hardware, versions
from conescope.training.scores import main_score
from conescope.training.single_run import train_run
from conescope.training.snapshot import snapshot

PLAIN = "plain"
Progress = Callable[[str, int, int, int, float], None]  # arm, seed, step, steps in all, loss of the task


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
    prepared = _Prepared(experiment)
    claim(folder, experiment)
    runs: dict[PersistentEntropy | None, list[Run]] = {arm: [] for arm in experiment.arms}
    for seed in experiment.seeds:  # seed by seed, so that a drift of the machine's speed falls on all arms
        for arm in experiment.arms:
            place = _place(folder, _name(arm), seed)
            if (place / "run.json").is_file():
                runs[arm].append(_read_run(place / "run.json"))
            else:
                runs[arm].append(_train(prepared, arm, seed, place, save_models, progress))
    arms = tuple(
        Arm(
            name=_name(arm),
            regularizer=None if arm is None else {"name": "persistent-entropy", **dataclasses.asdict(arm)},
            runs=tuple(found),
        )
        for arm, found in runs.items()
    )

    def points(arm: str, seed: int) -> Tensor:
        return load_file(_place(folder, arm, seed) / "embeddings.safetensors")["points"]

    result = _result(experiment, arms, _compare(arms, prepared.labels, points), command, arguments or {})
    write_text(folder / "result.json", result.model_dump_json())
    return result


class _Prepared:
    """What all runs of an experiment share: tokens, labels, and the embeddings before any training."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.tokenizer = load_tokenizer(experiment.recipe)
        length = experiment.recipe.max_length
        self.train = encode(experiment.train, self.tokenizer, length)
        self.dev = encode(experiment.dev, self.tokenizer, length)
        self.labels = torch.tensor(experiment.dev.labels)

    @functools.cached_property
    def untrained_points(self) -> Tensor:
        """The embeddings do not depend on the new head, so they are the same for all arms and seeds."""
        model = load_model(self.experiment.recipe, self.tokenizer, self.experiment.classes)
        return embed(model, self.dev, self.tokenizer, self.experiment.recipe)


def _train(
    prepared: _Prepared,
    arm: PersistentEntropy | None,
    seed: int,
    place: Path,
    save_models: bool,
    progress: Progress,
) -> Run:
    """Train one arm with one seed and write what it leaves, `run.json` last: it says that all is there."""
    experiment = prepared.experiment
    before = prepared.untrained_points
    trained, model = train_run(
        experiment.recipe,
        prepared.train,
        prepared.dev,
        experiment.classes,
        prepared.tokenizer,
        place,
        seed=seed,
        regularizer=arm.loss() if arm is not None else None,
        on_step=lambda step, steps, loss: progress(_name(arm), seed, step, steps, loss),
    )

    def seen(points: Tensor) -> Snapshot:
        rule = arm.selection if arm is not None else "recursive"
        cloud = experiment.recipe.batch_size
        return snapshot(points, prepared.labels, experiment.classes, cloud=cloud, rule=rule)

    run = Run(
        seed=seed,
        history=tuple(trained.history),
        evaluations=tuple(trained.evaluations),
        scores=trained.scores,
        before=seen(before),
        after=seen(trained.points),
        steps=trained.steps,
        step_seconds=trained.step_seconds,
        regularizer_seconds=trained.regularizer_seconds,
        predictions=tuple(trained.predictions),
    )
    if save_models:
        model.save_pretrained(place / "model")
        prepared.tokenizer.save_pretrained(place / "model")
    with whole_file(place / "embeddings.safetensors") as path:
        save_file({"points": trained.points, "labels": prepared.labels}, path)
    write_text(place / "run.json", run.model_dump_json())
    shutil.rmtree(place / "checkpoints", ignore_errors=True)
    return run


def _name(arm: PersistentEntropy | None) -> str:
    return arm.name if arm is not None else PLAIN


def _place(folder: Path, arm: str, seed: int) -> Path:
    words = "".join(c if c.isalnum() or c == "." else " " for c in arm).split()
    return folder / "-".join(words) / f"seed-{seed}"


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
        versions=versions(),
        hardware=hardware(device, chosen_precision(experiment.recipe.precision, device)),
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


def _read_run(path: Path) -> Run:
    try:
        return Run.model_validate_json(path.read_bytes())
    except ValidationError as problem:
        raise ValueError(
            f"{path} is not a run of this version; remove its folder to repeat the run"
        ) from problem
