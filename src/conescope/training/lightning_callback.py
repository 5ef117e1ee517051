"""The geometry of some batches in the log of Lightning, and the collapse alarm."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from conescope._optional import require
from conescope.training.collapse import GEOMETRY, Alarm, OnCollapse, check_measures, geometry
from conescope.training.modes import in_eval_mode

require("lightning", extra="lightning")
from lightning.pytorch import Callback, LightningModule, Trainer  # noqa: E402

Embed = Callable[[Any, Any], Tensor]  # the module and a batch -> points (n, d)


def _forward(module: Any, batch: Any) -> Tensor:
    points: Tensor = module(batch)
    return points


class LightningGeometryCallback(Callback):
    """Measures the embeddings of the same batches after every so many optimizer steps.

    Values are logged as `geometry/mean_cosine` and so on, and `geometry/collapsed` is 1 where
    `conescope.measure` says collapsed or an embedding is not finite. The first such measurement warns with
    the evidence and the smallest fix; "stop" also ends the training, and "checkpoint" also saves
    `collapsed-step=N.ckpt` in the default root folder.

    The module runs in eval mode and gets its modes back; random numbers are left as they were. With several
    processes, rank 0 measures with its copy, and all stop or save together; a module whose parameters are
    sharded can not be measured so.

    Args:
        batches: held-out batches, walked through at each measurement: a list, or a loader that does not
            shuffle; finite in number.
        embed: (module, batch) -> points (n, d); None calls `module(batch)`.
        every: so many optimizer steps.
        measures: names from `conescope.measures.MEASURES` that need no labels.
        on_collapse: warn, stop or checkpoint.
    """

    def __init__(
        self,
        batches: Iterable[Any],
        embed: Embed | None = None,
        *,
        every: int = 100,
        measures: Sequence[str] = GEOMETRY,
        on_collapse: OnCollapse = "warn",
    ) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        if iter(batches) is batches:
            raise TypeError("batches are walked through many times, and an iterator ends; give a list")
        self.batches = batches
        self.embed = embed or _forward
        self.every = every
        self.measures = check_measures(measures)
        self.alarm = Alarm(on_collapse)
        self._last = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._last = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step // self.every == self._last // self.every:  # several optimizers take several steps a batch
            return
        self._last = step
        news = False
        if trainer.is_global_zero:
            values, found = geometry(self._points(pl_module), self.measures)
            for name, value in values.items():
                pl_module.log(f"geometry/{name}", value, rank_zero_only=True)
            news = self.alarm.hear(found, step)
        if self.alarm.on_collapse == "warn" or not trainer.strategy.broadcast(news):
            return
        if self.alarm.on_collapse == "stop":
            trainer.should_stop = True
        else:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / f"collapsed-step={step}.ckpt")

    @torch.no_grad()
    def _points(self, module: LightningModule) -> Tensor:
        found = []
        with in_eval_mode(module), torch.random.fork_rng():
            for batch in self.batches:
                moved = module.transfer_batch_to_device(batch, module.device, 0)
                found.append(self.embed(module, moved).float().cpu())
        if not found:
            raise ValueError("batches must hold at least one batch, and there is none")
        return torch.cat(found)
