"""A regularizer of conescope as one of pytorch-metric-learning."""

from typing import Any

from torch import Tensor

from conescope._optional import require
from conescope.losses.wrapper import Loss, checked, layers_of, observe_every

require("pytorch_metric_learning", extra="metric-learning")
from pytorch_metric_learning.regularizers import BaseRegularizer  # noqa: E402


class EmbeddingRegularizer(BaseRegularizer):  # type: ignore[misc]
    """Any loss of points, for `embedding_regularizer=` of the losses of pytorch-metric-learning.

    `TripletMarginLoss(embedding_regularizer=EmbeddingRegularizer(KoLeoLoss()), embedding_reg_weight=0.1)`
    adds it with that weight. Regularizers there get no labels, so it sees the batch as one cloud. With
    `weight_regularizer=` it sees the class vectors of a classifying loss.

    Embeddings reach it as they are; losses there normalize them for their own distance alone. Put `OnSphere`
    around the loss for unit vectors.

    Raises:
        ValueError: for a loss of several hidden layers, or one that is told the norms of gradients.
    """

    def __init__(self, loss: Loss, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if layers_of(loss) is not None or observe_every(loss):
            raise ValueError(
                "the regularizer is given embeddings alone, so it can neither be Layers, which takes hidden "
                "layers, nor Balanced, which is told the norms of gradients; take the loss inside"
            )
        self.regularizer = loss

    def compute_loss(self, embeddings: Tensor) -> dict[str, dict[str, Any]]:
        """Return the value in the form of that package: reduced to one number already."""
        value = checked(self.regularizer(embeddings, None))
        return {"loss": {"losses": value, "indices": None, "reduction_type": "already_reduced"}}
