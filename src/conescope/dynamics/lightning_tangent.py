"""Tangent energy of a training by Lightning: what `TangentEnergy` measures, through checkpoints."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from conescope._optional import require
from conescope.dynamics.gradient_energy import DRAWS
from conescope.dynamics.proxy import Kind, Proxy, Rank
from conescope.dynamics.stored import packed, unpack
from conescope.dynamics.watching import Watching

require("lightning", extra="lightning")
from lightning.pytorch import Callback, LightningModule, Trainer  # noqa: E402


def _attention_mask(batch: Any) -> Tensor | None:
    mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
    return mask if isinstance(mask, Tensor) and mask.ndim == 2 else None


class LightningTangentCallback(Watching, Callback):
    """Measures gradient energy in the tangent directions of linear maps while Lightning trains.

    A step ends with the batch after which Lightning has counted one, whatever the accumulation and the number
    of optimizers. Weights come out as without the callback. What was measured is a part of every checkpoint,
    so that `fit(ckpt_path=...)` goes on with it. With several processes, rank 0 measures its part of the
    batch; modules whose parameters are sharded can not be measured so.

    Args:
        modules, rank, fit_fraction, every, draws, seed, others, proxy, refit_every, reservoir: as in
            `TangentEnergy`; modules are named as in the LightningModule.
        path: a JSON file, written at each checkpoint and at the end; None writes none.
        total_steps: of the training; None asks the trainer, which can not know it of a stream.
        mask: batch -> which tokens are real, (inputs, tokens), or None; unless told, the `attention_mask` of
            a batch that is a mapping.

    Raises:
        ValueError: when training begins, as `TangentEnergy` does, or without a number of steps.
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
        total_steps: int | None = None,
        mask: Callable[[Any], Tensor | None] = _attention_mask,
    ) -> None:
        super().__init__(
            modules, rank, fit_fraction, every, draws, path, seed, others, proxy, refit_every, reservoir
        )
        self.total_steps = total_steps
        self.mask = mask
        self._kept: tuple[str, dict[str, Tensor]] | None = None
        self._last = 0

    def state_dict(self) -> dict[str, Any]:
        if self.energy is None:
            return {}
        header, tensors = packed(self.energy)
        return {"header": header, "tensors": tensors}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._kept = (state_dict["header"], state_dict["tensors"]) if state_dict else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.close()
        kept, self._kept, self._last = self._kept, None, trainer.global_step
        if not trainer.is_global_zero:
            return
        steps = trainer.estimated_stepping_batches if self.total_steps is None else self.total_steps
        if not math.isfinite(steps) or steps < 0:
            raise ValueError(
                "the trainer does not know the number of its steps; give "
                "LightningTangentCallback(total_steps=...)"
            )
        energy = self._made(pl_module, int(steps))
        if kept is not None:
            unpack(energy, *kept)
        elif self._last:
            raise ValueError(
                f"the training goes on from step {self._last}, and its checkpoint does not tell what was "
                "measured before it; go on from a checkpoint that this callback has seen, or start anew"
            )
        self.energy = energy
        energy.__enter__()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.energy is not None:
            self.energy.mask = self.mask(batch)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        ended = trainer.global_step > self._last
        self._last = trainer.global_step
        if ended and self.energy is not None:
            self.energy.step()

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._write()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.close()
        self._write()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.close()
