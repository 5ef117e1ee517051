"""Measures of every layer over the steps of a Hugging Face Trainer, on the same texts each time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from conescope._files import write_text
from conescope.capture import LayerCapture, Pooling, backbone, layers_needed, pool
from conescope.capture.stacks import transformer_blocks
from conescope.dynamics.collapse import collapses
from conescope.dynamics.recorder import DEFAULT, RANK, Recorder
from conescope.dynamics.tangent_callback import places
from conescope.results.dynamics import Event, Trajectory

STATE = "trajectory.json"  # in the folder of a checkpoint
NOTED = ("loss", "task_loss", "regularizer", "gradient_share", "grad_norm")  # of what the Trainer logs


class TrajectoryCallback(TrainerCallback):
    """Records measures of each layer before training, after every so many steps, and at its end.

    Layers are called 0 (what enters the first block) to the number of blocks. Beside them stand the losses
    and gradient norms that the Trainer logs, at the steps where it does, and with a Trainer of
    `conescope.training.regularize` the share of the regularizer in the gradient.

    The model runs in eval mode and gets its modes back; no random number is used up. What was recorded is
    kept in every checkpoint. With several processes, rank 0 records, with its copy of the model.

    Args:
        batches: inputs of the model, the same at each step.
        measures: as in `Recorder`, with names.
        every: so many steps.
        pooling: cls, mean or last_token.
        sample, seed: as in `Recorder`.

    Raises:
        ValueError: if every < 1, there is no batch, or pooling is of several layers.
    """

    def __init__(
        self,
        batches: Sequence[Mapping[str, Tensor]],
        measures: Sequence[str] = DEFAULT,
        every: int = 20,
        *,
        pooling: Pooling = "mean",
        sample: int | None = 2048,
        seed: int = 0,
    ) -> None:
        if every < 1 or not batches:
            raise ValueError(
                f"every must be at least 1 and there must be a batch, got {every} and {len(batches)} batches"
            )
        if len(layers_needed(pooling, -1)) > 1:
            raise ValueError(f"pooling must be of one layer: cls, mean or last_token, got {pooling!r}")
        self.batches, self.every = batches, every
        self.pooling: Pooling = pooling
        self.recorder = Recorder(measures, sample=sample, seed=seed)
        self.earlier: Trajectory | None = None
        self._at: int | None = None  # the last step that was recorded

    def trajectory(self) -> Trajectory:
        """Return what was recorded so far, also before the checkpoint from which a training went on."""
        found = self.recorder.trajectory()
        return found if self.earlier is None else joined(self.earlier, found)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        kept = [path for path in places(args, state.global_step, STATE) if path.is_file()]
        if state.global_step > 0 and kept:
            self.earlier = Trajectory.model_validate_json(kept[0].read_bytes())
        elif state.is_world_process_zero:
            self._see(kwargs["model"], state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero and state.global_step % self.every == 0:
            self._see(kwargs["model"], state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        found = {name: value for name, value in (logs or {}).items() if name in NOTED}
        if state.is_world_process_zero:
            self.recorder.note(state.global_step, **found)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            write_text(_folder(args, state) / STATE, self.trajectory().to_json())

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero and self._at != state.global_step:
            self._see(kwargs["model"], state.global_step)

    def _see(self, model: nn.Module, step: int) -> None:
        self.recorder.see(step, layer_points(model, self.batches, self.pooling))
        self._at = step


@torch.no_grad()
def layer_points(
    model: nn.Module, batches: Sequence[Mapping[str, Tensor]], pooling: Pooling
) -> dict[str, Tensor]:
    """Return the pooled float32 points (n, d) of each layer, by its number, on the CPU.

    The model runs in eval mode, where it is, and every module gets its mode back.

    Raises:
        ValueError: if the blocks of the model can not be told.
    """
    layers = range(len(transformer_blocks(backbone(model))) + 1)
    device = next(model.parameters()).device
    parts: list[list[Tensor]] = [[] for _ in layers]
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with LayerCapture(model, layers) as capture:
            for batch in batches:
                inputs = {name: value.to(device) for name, value in batch.items()}
                capture.arm()
                model(**inputs)
                for found, hidden in zip(parts, capture.take(), strict=True):
                    found.append(pool([hidden], inputs.get("attention_mask"), pooling).float().cpu())
    finally:
        for module, mode in modes:
            module.training = mode
    return {str(layer): torch.cat(found) for layer, found in zip(layers, parts, strict=True)}


def joined(earlier: Trajectory, later: Trajectory) -> Trajectory:
    """Return the trajectory of a training that went on: a step of both is that of the later part.

    Collapses and recoveries are read off the whole again.
    """
    tables = [(earlier, [step for step in earlier.steps if step not in later.steps]), (later, later.steps)]
    places = sorted((step, source) for source, (_, steps) in enumerate(tables) for step in steps)
    layers = tuple(dict.fromkeys((*earlier.layers, *later.layers)))

    def value(name: str, layer: str, step: int, source: int) -> float | None:
        held = tables[source][0]
        known = name in held.tables and layer in held.layers
        return held.value(name, layer, step) if known else None

    found = {
        name: tuple(tuple(value(name, layer, *place) for place in places) for layer in layers)
        for name in dict.fromkeys((*earlier.tables, *later.tables))
    }
    steps = tuple(step for step, _ in places)
    events = (
        Event(layer=layer, step=steps[place], kind=kind)
        for layer, ranks in zip(layers, found.get(RANK, ()), strict=False)
        for place, kind in collapses(ranks)
    )
    scalars = {
        name: dict(sorted((earlier.scalars.get(name, {}) | later.scalars.get(name, {})).items()))
        for name in dict.fromkeys((*earlier.scalars, *later.scalars))
    }
    return Trajectory(layers=layers, steps=steps, tables=found, events=tuple(events), scalars=scalars)


def _folder(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
