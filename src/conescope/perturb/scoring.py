"""Scores of perturbed models: each is saved beside the study, fine-tuned on each task, and scored.

The noise of a run is that of its measures. Fine-tuning itself is not noisy: it starts from the perturbed
weights and changes all of them. The seed of a run is also that of its fine-tuning (the new head, the order of
the examples, dropout), so that without noise the runs show what fine-tuning alone varies by.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from conescope._files import write_text
from conescope.perturb.given_dose import score_associations
from conescope.perturb.noise import Noise
from conescope.perturb.perturbed import perturbed
from conescope.perturb.task import Budget, Task, fingerprint
from conescope.perturb.weights import Parts
from conescope.profile.running import Advance
from conescope.results import PerturbedRun, ScoredTask, TaskRun
from conescope.training.encoder import by_length, encode, load_tokenizer
from conescope.training.scores import SCORES, main_score
from conescope.training.single_run import train_model

TASKS = "tasks"


@dataclass(frozen=True)
class Scoring:
    """A model of transformers and its tokenizer, how its weights get noise, and where it is trained."""

    model: Any
    tokenizer: Any
    parts: Parts
    layer_norm: bool
    noise: Noise
    device: torch.device

    def scored(
        self,
        tasks: Sequence[Task],
        budget: Budget,
        folder: Path,
        measured: Sequence[PerturbedRun],
        repeats: int,
        seed: int,
        advance: Advance | None,
        stage: Callable[[str], None] | None,
    ) -> tuple[ScoredTask, ...]:
        """Return the scores of all tasks, at the percentages that were measured; `advance` counts steps.

        The tasks have the examples that the budget allows.
        """
        levels = sorted({run.percent for run in measured})
        wanted = [(percent, seed + repeat) for percent in levels for repeat in range(repeats)]
        steps = [budget.steps(len(task.train)) for task in tasks]
        total, done = len(wanted) * sum(steps), 0
        base = self._key()
        runs: dict[str, list[TaskRun]] = {task.name: [] for task in tasks}
        examples = [self._encoded(task, budget) for task in tasks]
        keys = [f"{base}-{fingerprint(task, budget)}" for task in tasks]
        for percent, draw in wanted:  # all tasks of a run, so that a stopped study has whole runs
            for task, encoded, key, count in zip(tasks, examples, keys, steps, strict=True):
                place = folder / TASKS / f"{task.name}-percent-{percent:.12g}-seed-{draw}.json"
                run = _known(place, key)
                if run is None:
                    if stage is not None:
                        stage(f"{task.name} at {percent:g} %, seed {draw}")
                    started = TaskRun(percent=percent, seed=draw, key=key, steps=0, scores={})
                    run = self._run(task, encoded, budget, place, started, _after(advance, done, total))
                    write_text(place, run.model_dump_json(indent=1))
                done += count
                if advance is not None:
                    advance(done, total)
                runs[task.name].append(run)
        return tuple(_collected(task, budget, runs[task.name], measured) for task in tasks)

    def _run(
        self,
        task: Task,
        examples: tuple[list[dict[str, Any]], list[dict[str, Any]]],
        budget: Budget,
        place: Path,
        run: TaskRun,
        on_step: Callable[[int, int, float], None],
    ) -> TaskRun:
        """Return a run with its scores, from the checkpoint of a stopped fine-tuning where there is one."""
        train, dev = examples
        digest = hashlib.blake2b(run.key.encode(), digest_size=6).hexdigest()
        work = place.with_suffix(f".{digest}")  # of these settings alone, as are the checkpoints in it
        work.mkdir(parents=True, exist_ok=True)
        with self._saved(work, run.percent, run.seed) as model:
            trainer = train_model(
                budget.recipe(str(model), str(self.device)),
                train,
                None,
                task.classes,
                self.tokenizer,
                work,
                seed=run.seed,
                regularizer=None,
                on_step=on_step,
            )
            found = trainer.predict([dev[row] for row in by_length(dev)]).metrics or {}  # type: ignore[arg-type]
        shutil.rmtree(work)
        scores = {name: float(found[f"test_{name}"]) for name in SCORES}
        return run.model_copy(update={"steps": trainer.state.global_step, "scores": scores})

    @contextmanager
    def _saved(self, work: Path, percent: float, seed: int) -> Iterator[Path]:
        """Yield a folder with the perturbed model, for as long as it is needed."""
        with TemporaryDirectory(dir=work) as folder:
            how = perturbed(
                self.model, percent, seed, parts=self.parts, layer_norm=self.layer_norm, noise=self.noise
            )
            with how:
                self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
            yield Path(folder)

    def _encoded(self, task: Task, budget: Budget) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        train, dev = (encode(data, self.tokenizer, budget.max_length) for data in (task.train, task.dev))
        return train, dev

    def _key(self) -> str:
        """Return a hash of the model as it is, and of how its weights get noise."""
        digest = hashlib.blake2b(repr((self.parts, self.layer_norm, self.noise)).encode(), digest_size=16)
        for name, value in self.model.state_dict().items():
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()


def scoring(
    model: nn.Module,
    tokenizer: Any,
    source: str | None,
    parts: Parts,
    layer_norm: bool,
    noise: Noise,
    device: torch.device,
) -> Scoring:
    """Return what scores a model; without a tokenizer it is the one of the model's folder or hub name.

    Raises:
        ValueError: for a module that transformers can not save, or one without a tokenizer.
    """
    if not hasattr(model, "save_pretrained"):
        raise ValueError(
            f"fine-tuning on a task needs a model of transformers, got {type(model).__name__}; give the "
            "folder or hub name of one, or leave the tasks out"
        )
    if tokenizer is None:
        if source is None:
            raise ValueError("fine-tuning on a task needs the model's tokenizer; give it as processor")
        tokenizer = load_tokenizer(Budget().recipe(source, str(device)))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Scoring(model, tokenizer, parts, layer_norm, noise, device)


def _known(place: Path, key: str) -> TaskRun | None:
    try:
        found = TaskRun.model_validate_json(place.read_bytes())
    except (OSError, ValidationError):
        return None
    return found if found.key == key else None


def _collected(
    task: Task, budget: Budget, runs: Sequence[TaskRun], measured: Sequence[PerturbedRun]
) -> ScoredTask:
    score = main_score(len(task.classes))
    return ScoredTask(
        name=task.name,
        classes=task.classes,
        train_examples=len(task.train),
        dev_examples=len(task.dev),
        main_score=score,
        budget=asdict(budget),
        runs=tuple(runs),
        associations=score_associations(measured, runs, score),
    )


def _after(advance: Advance | None, done: int, total: int) -> Callable[[int, int, float], None]:
    def tell(step: int, steps: int, loss: float) -> None:
        if advance is not None:
            advance(done + step, total)

    return tell
