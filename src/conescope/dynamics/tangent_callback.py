"""Tangent energy of a Hugging Face Trainer: what `TangentEnergy` measures, through checkpoints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled

from conescope._files import write_text
from conescope.dynamics.gradient_energy import DRAWS
from conescope.dynamics.proxy import Kind, Proxy, Rank
from conescope.dynamics.stored import load, save
from conescope.dynamics.tangent_energy import TangentEnergy
from conescope.results.dynamics import TangentResult

if TYPE_CHECKING:
    from pandas import DataFrame

STATE = "tangent.safetensors"  # in the folder of a checkpoint


class TangentCallback(TrainerCallback):
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
        self.modules = modules
        self.rank: Rank = rank
        self.fit_fraction, self.every, self.draws, self.seed = fit_fraction, every, draws, seed
        self.others = others
        self.proxy: Kind = proxy
        self.refit_every, self.reservoir = refit_every, reservoir
        self.path = None if path is None else Path(path)
        self.energy: TangentEnergy | None = None

    def result(self) -> TangentResult:
        """Return what was measured so far.

        Raises:
            RuntimeError: if no training has begun, or only in another process.
        """
        if self.energy is None:
            raise RuntimeError("no training has begun with this callback in this process; train first")
        return self.energy.result()

    def frame(self) -> "DataFrame":
        """Return `result().to_frame()`: a pandas row for each module and sampled step."""
        return self.result().to_frame()

    def close(self) -> None:
        """Take the hooks off the model, as the end of a training does."""
        if self.energy is not None:
            self.energy.__exit__(None, None, None)

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
        energy = TangentEnergy(
            kwargs["model"],
            self.modules,
            self.rank,
            self.fit_fraction,
            state.max_steps,
            self.every,
            self.draws,
            self.seed,
            count="manual",  # the Trainer knows its steps, also where an optimizer is not torch's
            others=self.others,
            proxy=self.proxy,
            refit_every=self.refit_every,
            reservoir=self.reservoir,
        )
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

    def _write(self) -> None:
        if self.path is not None:
            write_text(self.path, self.result().to_json())


def _kept(args: TrainingArguments, step: int) -> Path:
    """Return where the state of a checkpoint is: in the folder that was named, or in that of this step.

    A Trainer tells its callbacks the step from which it goes on, and not the folder.
    """
    named = args.resume_from_checkpoint
    folders = [*([Path(named)] if isinstance(named, str) else []), Path(str(args.output_dir))]
    found = [folder / STATE for folder in (*folders[:-1], folders[-1] / f"checkpoint-{step}")]
    for path in found:
        if path.is_file():
            return path
    raise ValueError(
        f"the training goes on from step {step}, and {' and '.join(map(str, found))} is not there to tell "
        "what was measured before it; go on from a checkpoint that this callback has seen, or start anew"
    )
