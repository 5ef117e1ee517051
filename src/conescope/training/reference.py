"""The reference covariance of I-STAR: that of the training data, taken anew at the start of each epoch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback

from conescope.losses import IsoScoreLoss, OnSphere
from conescope.losses.directions import unit_vectors


class ReferenceRefresh(TrainerCallback):
    """Updates each `IsoScoreLoss` inside a regularizer, with unit vectors inside `OnSphere`.

    A run that goes on within an epoch has the reference of its start in its checkpoint, and keeps it. So does
    one that diverged, whose embeddings are not finite: it is for the log to say so, and other runs follow.

    Reference: Rudman and Eickhoff (2024, Stable Anisotropic Regularization, arXiv:2305.19358).
    """

    def __init__(self, regularizer: nn.Module, embed: Callable[[Any], Tensor]) -> None:
        losses = [part for part in regularizer.modules() if isinstance(part, IsoScoreLoss)]
        self.losses = [loss for loss in losses if loss.zeta > 0]  # without shrinkage there is nothing to do
        self.on_sphere = any(isinstance(part, OnSphere) for part in regularizer.modules())
        self.embed = embed

    def on_epoch_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        within = abs((state.epoch or 0.0) - round(state.epoch or 0.0)) > 1e-6
        if not self.losses or (within and len(self.losses[0].reference)):
            return
        training = model.training
        points = self.embed(model)
        model.train(training)
        if len(self.losses[0].reference) and not bool(torch.isfinite(points).all()):
            return
        for loss in self.losses:
            loss.update(unit_vectors(points)[0] if self.on_sphere else points)
