"""One training run: a pretrained model, one seed, with or without a regularizer, resumable."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from packaging.version import Version
from torch import Tensor
from transformers import (
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_callback import PrinterCallback

from conescope._checkpoints import last_whole_checkpoint, numpy_states_allowed
from conescope._devices import chosen_device, chosen_precision
from conescope.training.encoder import by_length, embed, load_model
from conescope.training.mean_loss import MeanLossTrainer
from conescope.training.recipe import Recipe
from conescope.training.reference import ReferenceRefresh
from conescope.training.regularize import Regularizer, regularize
from conescope.training.scores import classification_scores
from conescope.training.signature_callback import SignatureCallback
from conescope.training.signatures import Known

OnStep = Callable[[int, int, float], None]  # step, steps in all, loss of the task


@dataclass(frozen=True)
class TrainedRun:
    """What a run leaves for the comparison."""

    history: list[dict[str, float]]
    evaluations: list[dict[str, float]]
    predictions: list[int]
    points: Tensor  # (n, d) float32 embeddings of the held-out set
    scores: dict[str, float]
    steps: int
    step_seconds: float
    regularizer_seconds: float


class TimedTrainer(MeanLossTrainer):
    """Logs the median seconds of its steps. Both arms of a comparison descend from it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stopwatch = _Stopwatch()
        self.add_callback(self.stopwatch)
        self.remove_callback(PrinterCallback)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if "loss" in logs and self.stopwatch.seconds:
            logs = logs | {"step_seconds": statistics.median(self.stopwatch.seconds)}
            self.stopwatch.seconds.clear()
        super().log(logs, *args, **kwargs)


class _Stopwatch(TrainerCallback):
    """Measures each step from its first forward pass to the end of its update."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.started = 0.0

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.started = _now()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.seconds.append(_now() - self.started)


class _Watcher(TrainerCallback):
    """Tells the caller how far the run is."""

    def __init__(self, on_step: OnStep) -> None:
        self.on_step = on_step
        self.loss = float("nan")

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any
    ) -> None:
        self.loss = (logs or {}).get("task_loss", (logs or {}).get("loss", self.loss))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.on_step(state.global_step, state.max_steps, self.loss)


class _NoLastSave(TrainerCallback):
    """Keeps the Trainer from writing a checkpoint after the last step, when the result is at hand."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step >= state.max_steps:
            control.should_save = False


def train_run(
    recipe: Recipe,
    train: list[dict[str, Any]],
    dev: list[dict[str, Any]],
    classes: tuple[str, ...],
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    *,
    seed: int,
    regularizer: Regularizer | None,
    on_step: OnStep,
) -> tuple[TrainedRun, Any]:
    """Train as `train_model` does, evaluate after each epoch and at the end; return the run and the model."""
    order = by_length(dev)
    rows = [dev[row] for row in order]
    trainer = train_model(
        recipe, train, rows, classes, tokenizer, folder, seed=seed, regularizer=regularizer, on_step=on_step
    )
    predicted = trainer.predict(rows)  # type: ignore[arg-type]
    predictions = _classes_of(predicted.predictions)[np.argsort(order)].tolist()
    history = training_rows(trainer)
    run = TrainedRun(
        history=history,
        evaluations=evaluation_rows(trainer),
        predictions=predictions,
        points=embed(trainer.model, dev, tokenizer, recipe),
        scores=classification_scores([row["labels"] for row in dev], predictions),
        steps=trainer.state.global_step,
        step_seconds=median_of(history, "step_seconds"),
        regularizer_seconds=median_of(history, "regularizer_seconds"),
    )
    return run, trainer.model


def train_model(
    recipe: Recipe,
    train: list[dict[str, Any]],
    dev: list[dict[str, Any]] | None,
    classes: tuple[str, ...],
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    *,
    seed: int,
    regularizer: Regularizer | None,
    on_step: OnStep,
    evaluate_every: int | None = None,
) -> Trainer:
    """Train from the last whole checkpoint in the folder, or from the start; return the trainer.

    The seed sets the new head, the order of the data and the dropout, and nothing else consumes random
    numbers, so runs that differ in the regularizer alone see the same of each. A regularizer that draws
    must have a generator of its own.

    A regularizer that shrinks towards a reference covariance gets that of the training data at the start of
    each epoch. Without `dev` nothing is evaluated while training; `evaluate_every` tells how many steps
    apart it is, None after each epoch.
    """
    set_seed(seed)
    model = load_model(recipe, tokenizer, classes)
    trainer_class: type[Trainer] = TimedTrainer
    callbacks: list[TrainerCallback] = [_Watcher(on_step), _NoLastSave()]
    if regularizer is not None:
        trainer_class = regularize(
            trainer_class, regularizer, layer=recipe.layer, pooling=recipe.pooling, gather=recipe.gather
        )
        known = Known.of(regularizer, [row["labels"] for row in train], model.config.hidden_size)
        callbacks.append(SignatureCallback(known))
    if isinstance(regularizer, torch.nn.Module):
        refresh = ReferenceRefresh(regularizer, lambda model: embed(model, train, tokenizer, recipe))
        callbacks.append(refresh)
    trainer = trainer_class(
        model=model,
        args=_arguments(recipe, len(train), folder / "checkpoints", seed, dev is not None, evaluate_every),
        train_dataset=train,
        eval_dataset=dev,
        data_collator=DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8),
        compute_metrics=_metrics,
        callbacks=callbacks,
    )
    with numpy_states_allowed():
        trainer.train(resume_from_checkpoint=last_whole_checkpoint(folder / "checkpoints"))
    return trainer


def training_rows(trainer: Trainer) -> list[dict[str, float]]:
    """Return what was logged while training, numbers only."""
    return [_numbers(row) for row in trainer.state.log_history if "loss" in row]


def evaluation_rows(trainer: Trainer) -> list[dict[str, float]]:
    """Return what was logged at each evaluation while training: `loss` is the mean over the examples."""
    return [
        {name.removeprefix("eval_"): value for name, value in _numbers(row).items()}
        for row in trainer.state.log_history
        if "eval_loss" in row
    ]


def steps_an_epoch(recipe: Recipe, examples: int) -> int:
    """Return the number of optimizer steps of an epoch; the last one may see fewer examples."""
    return -(-examples // (recipe.batch_size * recipe.accumulation))


def _arguments(
    recipe: Recipe, examples: int, folder: Path, seed: int, evaluates: bool, every: int | None
) -> TrainingArguments:
    device = chosen_device(recipe.device)
    precision = chosen_precision(recipe.precision, device)
    steps = steps_an_epoch(recipe, examples)
    # on a processor the fused update takes a quarter of the time; torch has it there since 2.4
    fused = Version(torch.__version__) >= Version("2.4") and device.type in ("cpu", "cuda")
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.lr,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.accumulation,
        weight_decay=recipe.weight_decay,
        warmup_steps=round(recipe.warmup * recipe.epochs * steps),
        lr_scheduler_type="linear",
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=device.type == "cpu",
        optim="adamw_torch_fused" if fused else "adamw_torch",
        eval_strategy=("no" if not evaluates else "epoch" if every is None else "steps"),
        eval_steps=every,
        save_strategy="steps",
        save_steps=recipe.save_steps,
        save_total_limit=1,
        logging_steps=max(1, min(10, steps // 5)),
        dataloader_pin_memory=device.type == "cuda",
        disable_tqdm=True,
        report_to=[],
        seed=seed,
        data_seed=seed,
    )


def _metrics(predicted: Any) -> dict[str, float]:
    return classification_scores(predicted.label_ids.tolist(), _classes_of(predicted.predictions).tolist())


def _classes_of(logits: Any) -> NDArray[np.int64]:
    first = np.asarray(logits[0] if isinstance(logits, tuple) else logits)  # some models return more
    classes: NDArray[np.int64] = first.argmax(axis=-1)
    return classes


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in row.items() if isinstance(value, int | float)}


def median_of(history: list[dict[str, float]], name: str) -> float:
    """Return the median of a logged number; 0 if it was never logged."""
    values = [row[name] for row in history if name in row]
    return statistics.median(values) if values else 0.0


def _now() -> float:
    if torch.cuda.is_available():  # a step that only queued its kernels has not ended
        torch.cuda.synchronize()
    return time.perf_counter()
