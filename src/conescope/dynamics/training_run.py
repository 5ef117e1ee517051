"""A training that is watched: tangent energy of its gradients, and measures of its layers over the steps.

The folder holds `settings.json`, checkpoints while the training lasts, then `tangent.json`,
`trajectory.json` and the proxies, for a run of another seed (`proxies.safetensors`). A training that was
stopped goes on from its last checkpoint with what was measured so far, so the same call resumes, and one that
is done is read back.
"""

import math
import shutil
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import torch

from conescope._checkpoints import last_whole_checkpoint, numpy_states_allowed
from conescope._devices import chosen_device, chosen_precision
from conescope._files import write_text
from conescope._optional import require
from conescope.dynamics.gradient_energy import DRAWS
from conescope.dynamics.objectives import Objective, task_of
from conescope.dynamics.proxy import Kind, Rank
from conescope.dynamics.stored import load_proxies, save_proxies
from conescope.dynamics.tangent_energy import TangentEnergy
from conescope.dynamics.training_settings import check, claim
from conescope.results.dynamics import TangentResult, Trajectory

MEASURES = ("mean_cosine", "anisotropy_1", "effective_rank")
TIMES = 40  # steps at which layers are measured, unless told
RESULTS = ("tangent.json", "trajectory.json")
PROXIES = "proxies.safetensors"
Advance = Callable[[int, int, float], None]  # step, steps in all, loss


class Watched(NamedTuple):
    """What was measured."""

    tangent: TangentResult
    trajectory: Trajectory


def watched_training(
    model: str,
    texts: Sequence[str],
    path: str | Path,
    *,
    pairs: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    objective: Objective | None = None,
    from_scratch: bool = False,
    epochs: float = 3.0,
    lr: float = 5e-5,
    batch_size: int = 32,
    max_length: int = 128,
    modules: Sequence[str] | None = None,
    rank: Rank = "auto",
    fit_fraction: float = 0.3,
    every: int = 20,
    draws: int = DRAWS,
    proxy: Kind = "pca",
    others: str | Path | None = None,
    measures: Sequence[str] = MEASURES,
    record_every: int | None = None,
    sample: int = 256,
    seed: int = 0,
    precision: str = "auto",
    device: str = "auto",
    save_steps: int = 200,
    advance: Advance = lambda step, steps, loss: None,
) -> Watched:
    """Train a model while its gradients and its layers are measured, and return what was found.

    AdamW with a linear decay to zero after 6 % of warm-up. Each text is cut at `max_length` tokens; texts
    are not packed.

    Args:
        model: folder or hub name.
        texts: one an example.
        path: the folder.
        pairs: a second text of each example.
        labels: the name of each example's class; they make the model a classifier.
        objective: classify, causal or masked; None goes by the labels, then by the model.
        from_scratch: start from random weights of the same configuration.
        epochs: passes over the texts.
        lr: the highest learning rate.
        batch_size: examples a step.
        max_length: tokens kept of an example.
        modules: names of linear maps, as in `TangentEnergy`.
        rank: of the proxies, as in `TangentEnergy`.
        fit_fraction: of the steps.
        every: of so many steps one is looked at, in the fit and after it.
        draws: of random frames.
        proxy: pca, windowed or concepts, as in `TangentEnergy`.
        others: the folder of such a training with another seed, whose proxies are a control.
        measures: of each layer, mean-pooled, of a fixed sample of the texts.
        record_every: steps between these; None takes about 40 in all.
        sample: texts in that sample, drawn by the seed.
        seed: of new weights, the order of the data, dropout and all draws.
        precision: auto (bf16 where it is multiplied fast), fp32, bf16 or fp16.
        device: auto, cpu or cuda.
        save_steps: between checkpoints.
        advance: told of each step.

    Raises:
        ValueError: for a setting out of range, a folder with another training in it, a model or texts that
            can not be used, and as `TangentEnergy` and `Recorder` do.
        ImportError: if transformers is missing.
    """
    settings = {
        name: value for name, value in locals().items() if name not in ("path", "advance", "save_steps")
    }
    control = None if others is None else load_proxies(Path(others) / PROXIES)
    settings["others"] = None if others is None else sha256((Path(others) / PROXIES).read_bytes()).hexdigest()
    check(settings, save_steps)
    for package in ("transformers", "accelerate"):
        require(package, extra="hf")
    transformers = require("transformers", extra="hf")
    from conescope.dynamics.tangent_callback import STATE as TANGENT_STATE
    from conescope.dynamics.tangent_callback import TangentCallback
    from conescope.dynamics.trajectory_callback import STATE as TRAJECTORY_STATE
    from conescope.dynamics.trajectory_callback import TrajectoryCallback

    folder = Path(path)
    transformers.set_seed(seed)
    task = task_of(model, texts, pairs, labels, objective, max_length=max_length, from_scratch=from_scratch)
    steps = math.ceil(epochs * -(-len(task.rows) // batch_size))
    TangentEnergy(  # refuses what is wrong
        task.model, modules, rank, fit_fraction, steps, every, draws, seed, proxy=proxy, others=control
    )
    claim(folder, settings)
    if all((folder / name).is_file() for name in RESULTS):
        return _read(folder)
    order = torch.randperm(len(task.rows), generator=torch.Generator().manual_seed(seed))[:sample].tolist()
    shown = [task.rows[number] for number in order]
    batches = [task.plain(shown[start : start + batch_size]) for start in range(0, len(shown), batch_size)]
    tangent = TangentCallback(
        modules, rank, fit_fraction, every, draws, seed=seed, proxy=proxy, others=control
    )
    trajectory = TrajectoryCallback(
        batches, measures, record_every or max(round(steps / TIMES), 1), seed=seed
    )
    checkpoints = folder / "checkpoints"
    trainer = transformers.Trainer(
        model=task.model,
        args=_arguments(
            checkpoints,
            steps,
            lr=lr,
            batch_size=batch_size,
            epochs=epochs,
            seed=seed,
            precision=precision,
            device=device,
            save_steps=save_steps,
        ),
        train_dataset=task.rows,
        data_collator=task.collate,
        callbacks=[tangent, trajectory, _watcher(advance)],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    try:
        with numpy_states_allowed():
            trainer.train(
                resume_from_checkpoint=last_whole_checkpoint(checkpoints, (TANGENT_STATE, TRAJECTORY_STATE))
            )
    finally:
        tangent.close()
    if tangent.energy is not None:
        save_proxies(tangent.energy.proxies(), folder / PROXIES)
    write_text(folder / RESULTS[1], trajectory.trajectory().to_json())
    write_text(folder / RESULTS[0], tangent.result().to_json())
    shutil.rmtree(checkpoints, ignore_errors=True)
    return _read(folder)


def _read(folder: Path) -> Watched:
    tangent, trajectory = ((folder / name).read_bytes() for name in RESULTS)
    try:
        return Watched(TangentResult.model_validate_json(tangent), Trajectory.model_validate_json(trajectory))
    except ValueError as problem:
        raise ValueError(f"{folder} holds results of another version; choose another folder") from problem


def _arguments(
    folder: Path,
    steps: int,
    *,
    lr: float,
    batch_size: int,
    epochs: float,
    seed: int,
    precision: str,
    device: str,
    save_steps: int,
) -> Any:
    from transformers import TrainingArguments

    where = chosen_device(device)
    precision, on_gpu = chosen_precision(precision, where), where.type == "cuda"
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=epochs,
        learning_rate=lr,
        per_device_train_batch_size=batch_size,
        weight_decay=0.01,
        warmup_steps=round(0.06 * steps),
        lr_scheduler_type="linear",
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=not on_gpu,
        save_strategy="steps",
        save_steps=save_steps,
        save_total_limit=1,
        logging_steps=max(1, min(10, steps // 5)),
        dataloader_pin_memory=on_gpu,
        disable_tqdm=True,
        report_to=[],
        seed=seed,
        data_seed=seed,
    )


def _watcher(advance: Advance) -> Any:
    """Return a callback that tells how far the training is."""
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):
        loss = math.nan

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            self.loss = (logs or {}).get("loss", self.loss)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            advance(state.global_step, state.max_steps, self.loss)

    return Watcher()
