"""A Hugging Face Trainer that adds a regularizer of the embeddings to the task loss.

The regularizer R acts on pooled hidden states z. Its value and its gradient g = dR/dz are computed on a
detached copy of z, and <g, z> is added to the task loss: by the chain rule the parameters receive
exactly dR/dtheta, in the same backward pass as the task, and nothing of R's graph is kept meanwhile.

Gradient accumulation over k micro-batches. Without `gather`, R is a mean over the micro-batches, like
the task loss. With `gather`, one R sees the embeddings of the whole effective batch, as if it had been
one batch. The published code of Kudriashov et al. gets there by keeping the graphs of all micro-batches
alive (retain_graph), which costs the memory that accumulation was meant to save. Here the micro-batches
run forward once without gradient, R and g are computed on all their embeddings, and each micro-batch
then runs again, with the same dropout, and adds its rows of <g, z> (the two-pass scheme of GradCache, Gao et
al. 2021, arXiv:2101.06983). This costs one more forward pass a step, and no memory beyond the embeddings.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer

from conescope.capture import LayerCapture, Pooling, backbone, layers_needed, pool
from conescope.training.mean_loss import MeanLossTrainer

Regularizer = Callable[[Tensor, Tensor | None], Tensor]


def regularize(
    trainer_class: type[Trainer],
    loss: Regularizer,
    *,
    layer: int = -1,
    pooling: Pooling = "cls",
    gather: bool = False,
) -> type[Trainer]:
    """Return a subclass of a Trainer that minimizes its task loss plus `loss(embeddings, labels)`.

    Labels reach the regularizer if they are integers, one a sequence; otherwise it gets None. While
    training, the log has `task_loss` and `regularizer` beside `loss` (means since the last log), what the
    regularizer keeps in `observed` (such as `bars_kept` and `classes_skipped`), and, measured at the step
    of each log, `gradient_share`, the norm of the regularizer's gradient at the hidden states over the
    sum of the two norms, and `regularizer_seconds`, its time in that step.

    Args:
        trainer_class: `transformers.Trainer` or a subclass, transformers 4.46 or later.
        loss: a regularizer, such as `conescope.losses.PersistentEntropyLoss()`.
        layer: as in `hidden_states`; 0 is the embeddings' output and -1 the last.
        pooling: cls, mean, last_token, or first_last_mean (of the first and the last block).
        gather: let the regularizer see all micro-batches of a step at once.
    """
    layers = layers_needed(pooling, layer)
    settings = {"regularizer": staticmethod(loss), "layers": layers, "pooling": pooling, "gather": gather}
    return type(f"Regularized{trainer_class.__name__}", (Regularized, trainer_class), settings)


class Regularized(MeanLossTrainer):
    """The part of a Trainer that `regularize` adds; its settings are the attributes of the subclass."""

    regularizer: Regularizer
    layers: tuple[int, ...]
    pooling: Pooling
    gather: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._hooks: ExitStack | None = None  # while training
        self._capture: LayerCapture | None = None
        self._shares: list[tuple[Tensor, Tensor]] = []  # of each micro-batch to come: gradient, value
        self._seen: dict[str, list[Tensor]] = {}  # what to log, since the last log

    def train(self, *args: Any, **kwargs: Any) -> Any:
        with ExitStack() as self._hooks:
            try:
                return super().train(*args, **kwargs)
            finally:
                self._hooks = self._capture = None

    def _hooked(self, model: torch.nn.Module, hooks: ExitStack) -> LayerCapture:
        """Return the capture of this model; `model_init` may have made a new one since the last step."""
        if self._capture is None or self._capture.backbone is not backbone(model):
            self._capture = hooks.enter_context(LayerCapture(model, self.layers))
        return self._capture

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        batches, items = super().get_batch_samples(*args, **kwargs)
        self._shares = []
        return batches, items

    def training_step(self, model: torch.nn.Module, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if self.gather and self._hooks is not None and not self._shares:
            self._shares = self._gathered_shares(model, self._hooked(model, self._hooks))
        return super().training_step(model, inputs, *args, **kwargs)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Any,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        if not model.training or self._hooks is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        labels, mask = _class_labels(inputs), inputs.get("attention_mask")
        capture = self._hooked(model, self._hooks)
        capture.arm()
        task, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        hidden = capture.take()
        if not hidden[-1].requires_grad:
            raise RuntimeError(
                "the hidden states carry no gradient; with gradient checkpointing, set "
                'gradient_checkpointing_kwargs={"use_reentrant": False}'
            )
        points = pool(hidden, mask, self.pooling)
        parts = max(len(self.window), 1)
        if self.gather and self._shares:
            gradient, value = self._shares.pop(0)
        else:
            gradient, value = self._share(points.detach(), labels)
            gradient, value = gradient / parts, value / parts
        surrogate = (points.to(gradient.dtype) * gradient).sum()
        regularizer = surrogate - surrogate.detach() + value  # the value, with the surrogate's gradient

        self._note("task_loss", task * self.own_divisor())
        self._note("regularizer", value * parts)
        if self._logs_this_step():
            self._note("gradient_share", self._gradient_share(task / parts, surrogate, hidden))
        total = task + regularizer * self.trainer_divisor()
        return (total, outputs) if return_outputs else total

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if "loss" in logs:
            seen, self._seen = self._seen, {}
            logs = logs | {name: torch.stack(values).float().mean().item() for name, values in seen.items()}
        super().log(logs, *args, **kwargs)

    def _share(self, points: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the gradient of the regularizer at the points, and its value."""
        timed = self._logs_this_step()
        started = _clock(points.device) if timed else 0.0
        with torch.enable_grad():
            points = points.requires_grad_()
            value = self.regularizer(points, labels)
            (gradient,) = torch.autograd.grad(value, points)
        if timed:
            self._note("regularizer_seconds", torch.tensor(_clock(points.device) - started))
        for name, count in getattr(self.regularizer, "observed", {}).items():
            self._note(name, count)
        return gradient, value.detach()

    def _gathered_shares(self, model: torch.nn.Module, capture: LayerCapture) -> list[tuple[Tensor, Tensor]]:
        """Run every micro-batch of the step without gradient, and split the gradient among them."""
        model.train()
        batches = [self._prepare_inputs(dict(batch)) for batch in self.window]
        labels = [_class_labels(batch) for batch in batches]
        clouds = []
        with torch.random.fork_rng(), torch.no_grad(), self.compute_loss_context_manager():
            for batch in batches:  # the second pass starts from the same random state: the same dropout
                capture.arm()
                model(**{name: tensor for name, tensor in batch.items() if name != "labels"})
                clouds.append(pool(capture.take(), batch.get("attention_mask"), self.pooling))
        known = [part for part in labels if part is not None]
        everyone = torch.cat(known) if len(known) == len(labels) else None
        gradient, value = self._share(torch.cat(clouds), everyone)
        parts = torch.split(gradient, [len(cloud) for cloud in clouds])
        return [(part, value / len(parts)) for part in parts]

    def _logs_this_step(self) -> bool:
        every = self.state.logging_steps
        return bool(every) and (self.state.global_step + 1) % every == 0

    def _note(self, name: str, value: Tensor) -> None:
        self._seen.setdefault(name, []).append(value.detach())

    def _gradient_share(self, task: Tensor, regularizer: Tensor, hidden: list[Tensor]) -> Tensor:
        scaler = getattr(self.accelerator, "scaler", None)  # keeps float16 gradients from vanishing
        scale = scaler.get_scale() if scaler is not None else 1.0
        norms = []
        for term in (task, regularizer):
            found = torch.autograd.grad(term * scale, hidden, retain_graph=True, allow_unused=True)
            present = [gradient.float().norm() for gradient in found if gradient is not None]
            norms.append(torch.stack(present).norm() if present else task.new_zeros(()).float())
        total = norms[0] + norms[1]
        return torch.where(total > 0, norms[1] / total, 0.0)


def _class_labels(inputs: Any) -> Tensor | None:
    """Return the labels if they are class numbers, one a sequence."""
    labels = inputs.get("labels")
    usable = isinstance(labels, Tensor) and labels.ndim == 1 and not labels.is_floating_point()
    return labels if usable else None


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
