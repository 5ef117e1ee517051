"""Model -> the same model with noise in its weights, and what that does to its measures."""

from conescope.perturb.perturbed import perturbed
from conescope.perturb.sequences import sample_sequences
from conescope.perturb.study import DEFAULT_MEASURES, PERCENTS, study
from conescope.perturb.weights import PARTS, chosen_weights

__all__ = [
    "DEFAULT_MEASURES",
    "PARTS",
    "PERCENTS",
    "chosen_weights",
    "perturbed",
    "sample_sequences",
    "study",
]
