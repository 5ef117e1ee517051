"""Regularizers: each a pure function of points and labels, and a module that calls it."""

from conescope.losses.alignment import AlignmentLoss, alignment_loss
from conescope.losses.balanced import Balanced
from conescope.losses.cosine import CosineLoss, cosine_loss
from conescope.losses.cross_correlation import CrossCorrelationLoss, cross_correlation_loss
from conescope.losses.gathered import Gathered
from conescope.losses.iso_score import IsoScoreLoss, iso_score_loss
from conescope.losses.koleo import KoLeoLoss, koleo_loss
from conescope.losses.layers import Layers
from conescope.losses.on_sphere import OnSphere
from conescope.losses.orthogonal import OrthogonalLoss, orthogonal_loss
from conescope.losses.per_class import PerClass
from conescope.losses.persistent_entropy import (
    PersistentEntropyLoss,
    PersistentEntropyTerms,
    persistent_entropy_loss,
)
from conescope.losses.remembered import Remembered
from conescope.losses.scheduled import Scheduled
from conescope.losses.sliced_gaussian import SlicedGaussianLoss, sliced_gaussian_loss
from conescope.losses.spectral_entropy import SpectralEntropyLoss, spectral_entropy_loss
from conescope.losses.topological import TopologicalLoss, topological_loss
from conescope.losses.uniformity import UniformityLoss, uniformity_loss
from conescope.losses.variance_covariance import VarianceCovarianceLoss, variance_covariance_loss

__all__ = [
    "AlignmentLoss",
    "Balanced",
    "CosineLoss",
    "CrossCorrelationLoss",
    "Gathered",
    "IsoScoreLoss",
    "KoLeoLoss",
    "Layers",
    "OnSphere",
    "OrthogonalLoss",
    "PerClass",
    "PersistentEntropyLoss",
    "PersistentEntropyTerms",
    "Remembered",
    "Scheduled",
    "SlicedGaussianLoss",
    "SpectralEntropyLoss",
    "TopologicalLoss",
    "UniformityLoss",
    "VarianceCovarianceLoss",
    "alignment_loss",
    "cosine_loss",
    "cross_correlation_loss",
    "iso_score_loss",
    "koleo_loss",
    "orthogonal_loss",
    "persistent_entropy_loss",
    "sliced_gaussian_loss",
    "spectral_entropy_loss",
    "topological_loss",
    "uniformity_loss",
    "variance_covariance_loss",
]
