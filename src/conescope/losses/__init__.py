"""Regularizers: each a pure function of points and labels, and a module that calls it."""

from conescope.losses.cross_correlation import CrossCorrelationLoss, cross_correlation_loss
from conescope.losses.koleo import KoLeoLoss, koleo_loss
from conescope.losses.persistent_entropy import (
    PersistentEntropyLoss,
    PersistentEntropyTerms,
    persistent_entropy_loss,
)
from conescope.losses.sliced_gaussian import SlicedGaussianLoss, sliced_gaussian_loss
from conescope.losses.topological import TopologicalLoss, topological_loss
from conescope.losses.variance_covariance import VarianceCovarianceLoss, variance_covariance_loss

__all__ = [
    "CrossCorrelationLoss",
    "KoLeoLoss",
    "PersistentEntropyLoss",
    "PersistentEntropyTerms",
    "SlicedGaussianLoss",
    "TopologicalLoss",
    "VarianceCovarianceLoss",
    "cross_correlation_loss",
    "koleo_loss",
    "persistent_entropy_loss",
    "sliced_gaussian_loss",
    "topological_loss",
    "variance_covariance_loss",
]
