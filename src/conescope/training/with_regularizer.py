"""A regularizer beside any loss of sentence-transformers, seen by its trainer as one loss.

The embeddings are those that the loss computes itself: no text is embedded twice. Each column of a batch
(anchors, positives, ...) is a cloud of its own, and the regularizer is the mean over columns: in one cloud an
anchor and its positive would be neighbors, and be pushed apart.

A cached loss (GradCache, Gao et al. 2021, arXiv:2101.06983) embeds all texts without gradient, computes loss
and gradient at these embeddings, and embeds them again in parts to pass that gradient on. There the
regularizer adds its gradient at the embeddings, before they are embedded again: it sees the whole batch, in
the memory of one part.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from conescope.losses.wrapper import Loss, checked, layers_of, observe_every


class WithRegularizer(nn.Module):
    """A loss of sentence-transformers plus `weight` times a regularizer of its embeddings.

    It returns a dictionary, of which the trainer takes the sum and logs each part: `task_loss` (or the parts
    of a loss that has some) and `regularizer`, with its weight. In a trainer with several datasets and
    losses, wrap those that shall have it.

    Labels reach the regularizer only where a batch has one column and they are class numbers, as for the
    batch triplet losses; the labels of pairs are no classes of texts, and it gets None.

    A loss that embeds its batch several times, such as MatryoshkaLoss, is regularized at its first pass.

    Args:
        loss: of sentence-transformers, 5 or 6, with one model.
        regularizer: such as `conescope.losses.KoLeoLoss()`; called with points (n, d) and labels or None.
        weight: of the regularizer.

    Raises:
        TypeError: for a loss without a model of its own, such as ContrastiveTensionLoss, which has two.
        ValueError: for a regularizer of several hidden layers, or one that is told the norms of gradients.
        RuntimeError: when called, if the loss shows no embeddings, such as a cached loss inside another one.
    """

    def __init__(self, loss: nn.Module, regularizer: Loss, weight: float = 1.0) -> None:
        super().__init__()
        if not isinstance(_model_of(loss), nn.Module):
            raise TypeError(
                f"the loss must have a model whose embeddings are regularized, and {type(loss).__name__} "
                "has none"
            )
        if layers_of(regularizer) is not None or observe_every(regularizer):
            raise ValueError(
                "the regularizer is given sentence embeddings alone, so it can neither be Layers, which "
                "takes hidden layers, nor Balanced, which is told the norms of gradients; take the loss "
                "inside"
            )
        self.loss = loss
        self.regularizer = regularizer
        self.weight = weight

    @property
    def model(self) -> Any:
        """The model of the loss; the trainer puts the one in its place that is wrapped for many devices."""
        return _model_of(self.loss)

    def forward(
        self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        features = list(sentence_features)
        classes = labels if len(features) == 1 and _are_classes(labels) else None
        if hasattr(self.loss, "calculate_loss"):
            return self._cached(features, labels, classes)
        with _seen(self.model) as outputs:
            task = self.loss(features, labels)
        value = self._value(_columns(outputs, len(features), type(self.loss).__name__), classes)
        return self._parts(task, value)

    def _cached(
        self, features: list[dict[str, Tensor]], labels: Tensor | None, classes: Tensor | None
    ) -> dict[str, Tensor]:
        """Add the regularizer where the loss and its gradients at all embeddings are computed."""
        inner: Callable[..., Tensor] = self.loss.calculate_loss  # type: ignore[assignment]
        values = []

        def calculate(parts: list[list[Tensor]], *args: Any, **options: Any) -> Tensor:
            task = inner(parts, *args, **options)
            value = self._value([torch.cat(column) for column in parts], classes)
            if options.get("with_backward"):
                value.backward()  # type: ignore[no-untyped-call]
            values.append(value.detach())
            return task + value.detach()

        own = vars(self.loss).get("calculate_loss")  # MatryoshkaLoss puts one there
        self.loss.calculate_loss = calculate  # type: ignore[assignment]
        try:
            total = self.loss(features, labels)
        finally:
            if own is None:
                del self.loss.calculate_loss
            else:
                self.loss.calculate_loss = own
        return self._parts(total - values[0], values[0])

    def _value(self, columns: list[Tensor], classes: Tensor | None) -> Tensor:
        return self.weight * torch.stack([checked(self.regularizer(one, classes)) for one in columns]).mean()

    def _parts(self, task: Any, value: Tensor) -> dict[str, Tensor]:
        parts = dict(task) if isinstance(task, dict) else {"task_loss": task}
        if "regularizer" in parts:
            raise ValueError("the loss has a part named regularizer already; one WithRegularizer is enough")
        return parts | {"regularizer": value}

    def get_config_dict(self) -> dict[str, Any]:
        """Return what the model card shows."""
        return {
            "loss": type(self.loss).__name__,
            "regularizer": repr(self.regularizer),
            "weight": self.weight,
        }

    def extra_repr(self) -> str:
        return f"weight={self.weight}"


def _model_of(loss: nn.Module) -> Any:
    return getattr(loss, "model", getattr(loss, "sentence_embedder", None))  # so the batch triplet losses


def _are_classes(labels: Tensor | None) -> bool:
    return isinstance(labels, Tensor) and labels.ndim == 1 and not labels.is_floating_point()


@contextmanager
def _seen(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the embeddings that a model computes, but for those that the loss cuts from the gradient."""
    outputs: list[Tensor] = []
    learning = torch.is_grad_enabled()

    def hook(module: nn.Module, args: Any, output: Any) -> None:
        if torch.is_grad_enabled() == learning:
            outputs.append(output["sentence_embedding"])

    handle = model.register_forward_hook(hook)
    try:
        yield outputs
    finally:
        handle.remove()


def _columns(outputs: list[Tensor], count: int, name: str) -> list[Tensor]:
    """Return the embeddings of each column: the first pass has one alone, later ones may hold several."""
    rows = len(outputs[0]) if outputs else 0
    wanted, found = rows * count, 0
    first: list[Tensor] = []
    for output in outputs:
        if found < wanted:
            first.append(output)
            found += len(output)
    if not outputs or found != wanted:
        raise RuntimeError(
            f"{name} must embed its {count} columns one after another with gradients, and shows "
            f"{[len(output) for output in outputs]} embeddings; regularize a loss that does, such as "
            "MultipleNegativesRankingLoss or CachedMultipleNegativesRankingLoss themselves"
        )
    return list(torch.split(torch.cat(first), rows)) if rows else first
