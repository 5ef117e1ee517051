"""Regularizers: each a pure function of points and labels, and a module that calls it."""

from conescope.losses.persistent_entropy import (
    PersistentEntropyLoss,
    PersistentEntropyTerms,
    persistent_entropy_loss,
)

__all__ = ["PersistentEntropyLoss", "PersistentEntropyTerms", "persistent_entropy_loss"]
