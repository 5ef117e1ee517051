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
from contextlib import ExitStack
from typing import Any, TypeAlias

import torch
from torch import Tensor
from transformers import Trainer

from conescope.capture import LayerCapture, Pooling, backbone, layers_needed, pool
from conescope.losses.wrapper import Loss, layers_of, observe_every
from conescope.training.gradient_norms import gradient_norms
from conescope.training.regularizer_state import StatefulTrainer

Regularizer: TypeAlias = Loss


def regularize(
    trainer_class: type[Trainer],
    loss: Loss,
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

    A loss with `layers`, such as `conescope.losses.Layers`, gets a mapping from each of these layers to its
    pooled embeddings. A loss with `observe`, such as `conescope.losses.Balanced`, is told the norms of both
    gradients at the hidden states, over all micro-batches of a step, every so many steps as it asks for.
    The state_dict of a loss is saved with the checkpoints and restored by `resume_from_checkpoint`.

    Args:
        trainer_class: `transformers.Trainer` or a subclass, transformers 4.46 or later.
        loss: a regularizer, such as `conescope.losses.PersistentEntropyLoss()`.
        layer: as in `hidden_states`; 0 is the embeddings' output and -1 the last. A loss that names its
            layers leaves this at -1.
        pooling: cls, mean, last_token, or first_last_mean (of the first and the last block).
        gather: let the regularizer see all micro-batches of a step at once.

    Raises:
        ValueError: if the loss names its layers and `layer` or first_last_mean names others, or if it has
            parameters to train, which would stay as they are: only the model is trained.
    """
    parameters = loss.named_parameters() if isinstance(loss, torch.nn.Module) else ()
    trainable = [name for name, parameter in parameters if parameter.requires_grad]
    if trainable:
        raise ValueError(
            f"the Trainer trains its model alone, and would leave {trainable[0]} of the loss as it is; take "
            'a setting without parameters, such as TopologicalLoss(scale="means"), or freeze them with '
            "loss.requires_grad_(False)"
        )
    layers = layers_needed(pooling, layer)
    named = layers_of(loss)
    if named is not None:
        if layers != (-1,):
            raise ValueError(
                f"the loss names its layers, {named}; leave layer at -1 and choose a pooling of one layer, "
                f"got layer={layer} and pooling={pooling!r}"
            )
        layers = named
    settings = {"regularizer": staticmethod(loss), "layers": layers, "pooling": pooling, "gather": gather}
    return type(f"Regularized{trainer_class.__name__}", (Regularized, trainer_class), settings)


class Regularized(StatefulTrainer):
    """The part of a Trainer that `regularize` adds; its settings are the attributes of the subclass."""

    layers: tuple[int, ...]
    pooling: Pooling
    gather: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._hooks: ExitStack | None = None  # while training
        self._capture: LayerCapture | None = None
        self._shares: list[tuple[list[Tensor], Tensor]] = []  # of micro-batches to come: gradients, value
        self._squares: list[Tensor] = []  # of this step's micro-batches: squared norms of both gradients
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
        self._shares, self._squares = [], []
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
        if not all(states.requires_grad for states in hidden):
            raise RuntimeError(
                "the hidden states carry no gradient; with gradient checkpointing, set "
                'gradient_checkpointing_kwargs={"use_reentrant": False}'
            )
        clouds = self._pooled(hidden, mask)
        parts = max(len(self.window), 1)
        if self.gather and self._shares:
            gradients, value = self._shares.pop(0)
        else:
            gradients, value = self._share([points.detach() for points in clouds], labels)
            gradients, value = [gradient / parts for gradient in gradients], value / parts
        surrogate = torch.stack(
            [(points.to(g.dtype) * g).sum() for points, g in zip(clouds, gradients, strict=True)]
        ).sum()
        regularizer = surrogate - surrogate.detach() + value  # the value, with the surrogate's gradient

        self._note("task_loss", task * self.own_divisor())
        self._note("regularizer", value * parts)
        every = observe_every(self.regularizer)
        observes = every > 0 and self.state.global_step % every == 0
        if observes or self._logs_this_step():
            scaler = getattr(self.accelerator, "scaler", None)  # keeps float16 gradients from vanishing
            scale = scaler.get_scale() if scaler is not None else 1.0
            norms = gradient_norms((task / self.trainer_divisor(), surrogate), hidden, scale)
            if observes:
                self._observe(norms, parts)
            if self._logs_this_step():
                total_norm = norms.sum()
                self._note("gradient_share", torch.where(total_norm > 0, norms[1] / total_norm, 0.0))
        total = task + regularizer * self.trainer_divisor()
        return (total, outputs) if return_outputs else total

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if "loss" in logs:
            seen, self._seen = self._seen, {}
            logs = logs | {name: torch.stack(values).float().mean().item() for name, values in seen.items()}
        super().log(logs, *args, **kwargs)

    def _pooled(self, hidden: list[Tensor], mask: Tensor | None) -> list[Tensor]:
        """Return the points of each layer that the loss names, or of the one layer, or mean of two."""
        if layers_of(self.regularizer) is None:
            return [pool(hidden, mask, self.pooling)]
        return [pool([states], mask, self.pooling) for states in hidden]

    def _share(self, clouds: list[Tensor], labels: Tensor | None) -> tuple[list[Tensor], Tensor]:
        """Return the gradient of the regularizer at the points of each layer, and its value."""
        timed = self._logs_this_step()
        started = _clock(clouds[0].device) if timed else 0.0
        with torch.enable_grad():
            clouds = [points.requires_grad_() for points in clouds]
            named = layers_of(self.regularizer)
            value = self.regularizer(
                clouds[0] if named is None else dict(zip(named, clouds, strict=True)), labels
            )
            gradients = torch.autograd.grad(value, clouds)
        if timed:
            self._note("regularizer_seconds", torch.tensor(_clock(clouds[0].device) - started))
        for name, count in getattr(self.regularizer, "observed", {}).items():
            self._note(name, count)
        return list(gradients), value.detach()

    def _gathered_shares(
        self, model: torch.nn.Module, capture: LayerCapture
    ) -> list[tuple[list[Tensor], Tensor]]:
        """Run every micro-batch of the step without gradient, and split the gradient among them."""
        model.train()
        batches = [self._prepare_inputs(dict(batch)) for batch in self.window]
        labels = [_class_labels(batch) for batch in batches]
        seen = []  # of each micro-batch, the points of each layer
        with torch.random.fork_rng():  # the second pass starts from the same random state: the same dropout
            with torch.no_grad(), self.compute_loss_context_manager():
                for batch in batches:
                    capture.arm()
                    model(**{name: tensor for name, tensor in batch.items() if name != "labels"})
                    seen.append(self._pooled(capture.take(), batch.get("attention_mask")))
            known = [part for part in labels if part is not None]
            everyone = torch.cat(known) if len(known) == len(labels) else None
            # a loss that draws must not move that state either, and draws anew at each step
            torch.manual_seed((self.args.seed * 0x9E3779B97F4A7C15 + self.state.global_step + 1) % 2**63)
            gradients, value = self._share([torch.cat(parts) for parts in zip(*seen, strict=True)], everyone)
        sizes = [len(clouds[0]) for clouds in seen]
        rows = zip(*(torch.split(gradient, sizes) for gradient in gradients), strict=True)
        return [(list(parts), value / len(seen)) for parts in rows]

    def _logs_this_step(self) -> bool:
        every = self.state.logging_steps
        return bool(every) and (self.state.global_step + 1) % every == 0

    def _note(self, name: str, value: Tensor) -> None:
        self._seen.setdefault(name, []).append(value.detach())

    def _observe(self, norms: Tensor, parts: int) -> None:
        """After the last micro-batch of a step, tell the regularizer the norms over all of them."""
        self._squares.append(norms.square())
        if len(self._squares) == parts:
            task, own = torch.stack(self._squares).sum(dim=0).sqrt().unbind()
            self.regularizer.observe(task, own)  # type: ignore[attr-defined]


def _class_labels(inputs: Any) -> Tensor | None:
    """Return the labels if they are class numbers, one a sequence."""
    labels = inputs.get("labels")
    usable = isinstance(labels, Tensor) and labels.ndim == 1 and not labels.is_floating_point()
    return labels if usable else None


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
