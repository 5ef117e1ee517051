"""Tangent energy of a Hugging Face Trainer: what `TangentEnergy` measures, through checkpoints."""

from collections.abc import Mapping, Sequence
from json import loads
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled

from conescope._checkpoints import TRAINER_STATE
from conescope.dynamics.gradient_energy import DRAWS
from conescope.dynamics.proxy import Kind, Proxy, Rank
from conescope.dynamics.stored import load, save
from conescope.dynamics.watching import Watching

STATE = "tangent.safetensors"  # in the folder of a checkpoint


class TangentCallback(Watching, TrainerCallback):
    """Measures gradient energy in the tangent directions of linear maps while a Trainer trains.

    Steps are those of the Trainer, whatever the accumulation, and their number is its `max_steps`. Weights
    come out as without the callback. What was measured is kept in every checkpoint (`tangent.safetensors`),
    so that `train(resume_from_checkpoint=...)` goes on with it. With several processes, rank 0 measures its
    part of the batch.

    A training that ends by an exception leaves its hooks on the model until `close()`, or until the next
    training with the same callback begins.

    Args:
        modules, rank, fit_fraction, every, draws, seed, others, proxy, refit_every, reservoir: as in
            `TangentEnergy`.
        path: a JSON file, written at each checkpoint and at the end; None writes none.

    Raises:
        ValueError: when training begins, as `TangentEnergy` does; with FSDP or DeepSpeed ZeRO-3, where a
            process has only a part of a weight; for a training that goes on from a checkpoint without what
            was measured before it.
    """

    def __init__(
        self,
        modules: Sequence[str] | None = None,
        rank: Rank = "auto",
        fit_fraction: float = 0.3,
        every: int = 20,
        draws: int = DRAWS,
        path: str | Path | None = None,
        *,
        seed: int = 0,
        others: Mapping[str, Proxy] | None = None,
        proxy: Kind = "pca",
        refit_every: int = 10,
        reservoir: int = 2048,
    ) -> None:
        super().__init__(
            modules, rank, fit_fraction, every, draws, path, seed, others, proxy, refit_every, reservoir
        )

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if args.fsdp or is_deepspeed_zero3_enabled():  # type: ignore[no-untyped-call]
            raise ValueError(
                "tangent energy needs whole weight gradients, and FSDP and DeepSpeed ZeRO-3 give a process a "
                "part of them; train with plain data parallelism"
            )
        self.close()
        if not state.is_world_process_zero:
            return
        energy = self._made(kwargs["model"], state.max_steps)
        if state.global_step > 0:
            load(energy, _kept(args, state.global_step))
        self.energy = energy
        energy.__enter__()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.energy is not None:
            self.energy.step()

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.energy is not None:
            save(self.energy, Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / STATE)
            self._write()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.energy is not None:
            self.close()
            self._write()


def places(args: TrainingArguments, step: int, name: str) -> list[Path]:
    """Return where a file of a checkpoint may be: in the folder that was named, or in that of this step.

    A Trainer tells its callbacks the step from which it goes on, and not the folder. A folder that was named
    once may be of an earlier step than that of a training that was stopped again.
    """
    named = args.resume_from_checkpoint
    given = [Path(named)] if isinstance(named, str) and _step_of(Path(named)) == step else []
    return [folder / name for folder in (*given, Path(str(args.output_dir)) / f"checkpoint-{step}")]


def _step_of(checkpoint: Path) -> int | None:
    try:
        return int(loads((checkpoint / TRAINER_STATE).read_text())["global_step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _kept(args: TrainingArguments, step: int) -> Path:
    """Return where the state of a checkpoint is."""
    found = places(args, step, STATE)
    for path in found:
        if path.is_file():
            return path
    raise ValueError(
        f"the training goes on from step {step}, and {' and '.join(map(str, found))} is not there to tell "
        "what was measured before it; go on from a checkpoint that this callback has seen, or start anew"
    )
