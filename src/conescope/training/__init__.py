"""Fine-tuning with a regularizer, and the comparison with fine-tuning without."""

from conescope.training.regularize import regularize

__all__ = ["regularize"]
