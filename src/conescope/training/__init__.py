"""Fine-tuning with a regularizer, and the comparison with fine-tuning without."""

from conescope._optional import require

for package in ("transformers", "accelerate"):  # the Trainer needs both
    require(package, extra="hf")

from conescope.training.regularize import regularize  # noqa: E402

__all__ = ["regularize"]
