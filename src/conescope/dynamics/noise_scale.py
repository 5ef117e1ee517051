"""Gradient noise scale: how many examples a batch must have before its noise is no more than its gradient.

With G the mean gradient and Sigma the covariance of that of one example, B_simple = tr Sigma / |G|^2. The
gradient of a batch of b examples has E |G_b|^2 = |G|^2 + tr Sigma / b, so two sizes b < B tell both:

    |G|^2 = (B |G_B|^2 - b |G_b|^2) / (B - b),    tr Sigma = (|G_b|^2 - |G_B|^2) / (1 / b - 1 / B).

Both are unbiased; their quotient is not, and one step says little, so both are averaged over steps before
they are divided. The small gradients may be those of the micro-batches, or of the halves, of the big batch.

Reference: McCandlish, Kaplan, Amodei et al. (2018), appendix A.1, arXiv:1812.06162.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple


class NoiseScale(NamedTuple):
    """The estimates of |G|^2 and tr Sigma, and how many steps they are weighted means of."""

    square: float
    trace: float
    steps: int = 1

    @property
    def scale(self) -> float:
        """B_simple, in examples; nan where the estimates say nothing, as |G|^2 is not above zero."""
        return self.trace / self.square if self.square > 0 else math.nan

    def smoothed(self, other: "NoiseScale", decay: float = 0.9) -> "NoiseScale":
        """Return the estimates after a later step: weights fall by `decay` a step, and sum to one.

        Early means are weighted by what there is, so the first step is not pulled to zero.

        Raises:
            ValueError: if not 0 <= decay <= 1; 1 is the plain mean.
        """
        if not 0 <= decay <= 1:
            raise ValueError(f"decay is a weight from 0 to 1, got {decay}")
        new = 1 / (self.steps + 1) if decay == 1 else (1 - decay) / (1 - decay ** (self.steps + 1))
        return NoiseScale(
            square=self.square + new * (other.square - self.square),
            trace=self.trace + new * (other.trace - self.trace),
            steps=self.steps + 1,
        )


def noise_scale(small_squares: Sequence[float], big_square: float, small: int, big: int) -> NoiseScale:
    """Return the estimates from one step.

    Either may be negative. The estimates stay unbiased if a gradient is a mean over its batch.

    Args:
        small_squares: |G_b|^2 of one or more small batches.
        big_square: |G_B|^2 of the big one.
        small: b, examples of a small batch.
        big: B, examples of the big one.

    Raises:
        ValueError: if not 0 < small < big, or without small batches.

    >>> noise_scale([3.0, 5.0], 3.0, small=1, big=2)  # (2 * 3 - 4) / 1 and (4 - 3) / (1 - 1 / 2)
    NoiseScale(square=2.0, trace=2.0, steps=1)
    """
    if not (0 < small < big and len(small_squares)):
        raise ValueError(
            f"expected 0 < small < big and one small batch or more, got "
            f"{small}, {big} and {len(small_squares)}; split the batch into halves"
        )
    mean = math.fsum(small_squares) / len(small_squares)
    return NoiseScale(
        square=(big * big_square - small * mean) / (big - small),
        trace=(mean - big_square) / (1 / small - 1 / big),
    )
