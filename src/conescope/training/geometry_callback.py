"""The geometry of a fixed sample in the log of a Hugging Face Trainer, and the collapse alarm."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled

from conescope.capture import LayerCapture, Pooling, backbone, layers_needed, pool
from conescope.losses.gathered import ranks, sum_over_ranks
from conescope.training.collapse import GEOMETRY, Alarm, OnCollapse, check_measures, geometry
from conescope.training.modes import in_eval_mode

NOT_INPUTS = ("labels", "label", "label_ids", "return_loss")


class GeometryCallback(TrainerCallback):
    """Measures the embeddings of a fixed sample before training and after every so many steps.

    Values are logged as `geometry/mean_cosine`, with several layers as `geometry/-1/mean_cosine`, and
    `geometry/collapsed` is 1 where `conescope.measure` says collapsed or an embedding is not finite. The
    first such measurement warns with the evidence and the smallest fix; "stop" also ends the training, and
    "checkpoint" also saves the model. A model that is collapsed already when training begins warns then.

    transformers gives a callback no way to the trackers: `attach` does. A callback that was only given as
    `callbacks=[...]` writes to `state.log_history` alone.

    The rows are drawn and collated once, so every measurement sees the same inputs, with the same masks. The
    model runs in eval mode and gets its modes back, hooks are removed, and random numbers are left as they
    were: the weights come out as without the callback.

    With several processes, rank 0 measures, with its copy of the model, and all stop or save together.

    Args:
        layers: as in `hidden_states`; 0 is the embeddings' output and -1 the last.
        every: so many optimizer steps.
        sample: rows at most; 10 a dimension let the verdict judge the spectrum, a few hundred do for
            collapse.
        measures: names from `conescope.measures.MEASURES` that need no labels.
        on_collapse: warn, stop or checkpoint.
        pooling: cls, mean or last_token.
        data: held-out rows, such as those of an evaluation dataset; None takes those of training.
        collate: rows -> inputs of the model; None takes that of the training.
        seed: of the draw.

    Raises:
        ValueError: for settings that are none, and with FSDP or DeepSpeed ZeRO-3, where one process has only
            a part of the model.
        TypeError: where rows can not be drawn, as from a stream, and for a model of sentence-transformers.
    """

    def __init__(
        self,
        layers: Sequence[int] = (-1,),
        every: int = 100,
        sample: int = 512,
        measures: Sequence[str] = GEOMETRY,
        on_collapse: OnCollapse = "warn",
        *,
        pooling: Pooling = "cls",
        data: Any = None,
        collate: Callable[[list[Any]], Any] | None = None,
        seed: int = 0,
    ) -> None:
        if not layers or len(set(layers)) < len(layers):
            raise ValueError(f"layers must be one or more different numbers, got {list(layers)}")
        if every < 1 or sample < 2:
            raise ValueError(f"every must be at least 1 and sample at least 2, got {every} and {sample}")
        if len(layers_needed(pooling, -1)) > 1:
            raise ValueError(f"pooling must be of one layer: cls, mean or last_token, got {pooling!r}")
        self.layers = tuple(layers)
        self.every = every
        self.sample = sample
        self.measures = check_measures(measures)
        self.alarm = Alarm(on_collapse)
        self.pooling: Pooling = pooling
        self.data = data
        self.collate = collate
        self.seed = seed
        self.trainer: Trainer | None = None
        self._batches: list[Mapping[str, Any]] = []

    def attach(self, trainer: Trainer) -> "GeometryCallback":
        """Add the callback to a trainer, and log through it: to its history, console and trackers."""
        self.trainer = trainer
        if self not in trainer.callback_handler.callbacks:
            trainer.add_callback(self)
        return self

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if args.fsdp or is_deepspeed_zero3_enabled():  # type: ignore[no-untyped-call]
            raise ValueError(
                "the geometry is measured by one process with a whole model, and FSDP and DeepSpeed "
                "ZeRO-3 give it a part; measure checkpoints instead"
            )
        model, loader = kwargs["model"], kwargs.get("train_dataloader")
        if isinstance(backbone(model), nn.Sequential):
            raise TypeError(
                f"GeometryCallback runs models of transformers, got {type(model).__name__}; models of "
                "sentence-transformers are measured by conescope.training.GeometryEvaluator"
            )
        if state.is_world_process_zero:
            self._batches = self._drawn(loader, args.per_device_eval_batch_size)
        self._look(model, args, state, control)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step % self.every == 0:
            self._look(kwargs["model"], args, state, control)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._batches = []

    def _look(
        self, model: nn.Module, args: TrainingArguments, state: TrainerState, control: TrainerControl
    ) -> None:
        news = False
        if state.is_world_process_zero:
            logs: dict[str, float] = {}
            alarm = None
            for layer, points in zip(self.layers, self._points(model), strict=True):
                values, found = geometry(points, self.measures)
                prefix = "geometry" if len(self.layers) == 1 else f"geometry/{layer}"
                logs |= {f"{prefix}/{name}": value for name, value in values.items()}
                alarm = alarm or found
            self._log(logs, state, control)
            news = self.alarm.hear(alarm, state.global_step)
        if self.alarm.on_collapse == "warn":
            return
        if ranks() > 1:  # only rank 0 knows
            news = bool(sum_over_ranks(torch.tensor(float(news), device=args.device)) > 0)
        if news and self.alarm.on_collapse == "stop":
            control.should_training_stop = True
        elif news:
            control.should_save = True

    def _log(self, logs: dict[str, float], state: TrainerState, control: TrainerControl) -> None:
        if self.trainer is None:
            state.log_history.append({**logs, "epoch": state.epoch or 0.0, "step": state.global_step})
            return
        due = control.should_log  # a log clears it, and the loss of this step would be lost
        self.trainer.log(logs)
        control.should_log = due

    def _drawn(self, loader: Any, size: int) -> list[Mapping[str, Any]]:
        """Return batches of rows drawn by the seed, without what is no input of the model."""
        rows: Any = getattr(loader, "dataset", None) if self.data is None else self.data
        collate = self.collate or getattr(loader, "collate_fn", None)
        if collate is None or not (hasattr(rows, "__len__") and hasattr(rows, "__getitem__")):
            raise TypeError(
                f"rows are drawn by their numbers, and a {type(rows).__name__} has none; give held-out "
                "rows as data, a list or a dataset with a length"
            )
        generator = torch.Generator().manual_seed(self.seed)
        numbers = torch.randperm(len(rows), generator=generator)[: self.sample].sort().values
        batches: list[Mapping[str, Any]] = []
        with torch.random.fork_rng():  # a collator may draw masks
            torch.manual_seed(self.seed)
            for part in torch.split(numbers, size):
                chosen = [rows[number] for number in part.tolist()]
                chosen = [dict(row) if isinstance(row, Mapping) else row for row in chosen]
                batch = collate(chosen)
                batches.append({name: value for name, value in batch.items() if name not in NOT_INPUTS})
        return batches

    @torch.no_grad()
    def _points(self, model: nn.Module) -> list[Tensor]:
        """Return the pooled float32 embeddings of the sample, for each layer."""
        device = next(model.parameters()).device
        parts: list[list[Tensor]] = [[] for _ in self.layers]
        with in_eval_mode(model), LayerCapture(model, self.layers) as capture:
            for batch in self._batches:
                inputs = {
                    name: value.to(device) if isinstance(value, Tensor) else value
                    for name, value in batch.items()
                }
                capture.arm()
                model(**inputs)
                for found, hidden in zip(parts, capture.take(), strict=True):
                    found.append(pool([hidden], inputs.get("attention_mask"), self.pooling).float().cpu())
        return [torch.cat(found) for found in parts]
