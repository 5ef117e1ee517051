"""Point cloud -> number. The table MEASURES says what there is, and what each value may be.

`conescope.measure` runs it over a cloud, the command line offers its names, and the tests hold every
row to what the row declares.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import log
from typing import Literal

from torch import Tensor

from conescope.measures import isotropic
from conescope.measures.anisotropy import anisotropy, within_class_anisotropy
from conescope.measures.cosine import mean_cosine
from conescope.measures.effective_rank import effective_rank
from conescope.measures.isoscore import isoscore, isoscore_from_covariance
from conescope.measures.persistent_entropy import (
    entropy_of_bars,
    persistent_entropy,
    relative_entropy_of_bars,
    relative_persistent_entropy,
)

__all__ = [
    "MEASURES",
    "Measure",
    "anisotropy",
    "effective_rank",
    "isoscore",
    "isoscore_from_covariance",
    "mean_cosine",
    "persistent_entropy",
    "relative_persistent_entropy",
    "within_class_anisotropy",
]


@dataclass(frozen=True)
class Measure:
    """One row: a function of points (and labels), and what is known about its values.

    `bounds` and `isotropic` are functions of n and d: the least and the greatest value, and what n
    points of an isotropic Gaussian give (None where no formula is known). `invariant` names what does
    not change the value, among translation, rotation, scale, row-scale (each point by its own factor),
    permutation, duplication (every point taken twice), class-translation. `undefined` says when the
    function returns nan. Measures with `from_bars` depend on the points through their H0 bars alone, which
    look at all pairs: they share one barcode, of a sample when n is large.
    """

    name: str
    function: Callable[..., Tensor]
    meaning: str
    bounds: Callable[[int, int], tuple[float, float]]
    isotropic: Callable[[int, int], float | None]
    better: Literal["higher", "lower", "neither"]  # in the sense of more isotropic
    invariant: str
    undefined: str
    cost: str
    paper: str
    needs_labels: bool = False
    from_bars: Callable[[Tensor], Tensor] | None = None


def _rank(n: int, d: int) -> int:
    """Return the rank that a centered cloud can have."""
    return max(min(n - 1, d), 1)


MEASURES: dict[str, Measure] = {
    row.name: row
    for row in (
        Measure(
            name="mean_cosine",
            function=mean_cosine,
            meaning="not centered; 1: all points in one direction",
            bounds=lambda n, d: (-1, 1),
            isotropic=lambda n, d: None if n < 2 else 0.0,
            better="lower",
            invariant="rotation scale row-scale permutation",
            undefined="fewer than two points differ from zero",
            cost="n d",
            paper="arXiv:1909.00512",
        ),
        Measure(
            name="mean_cosine_centered",
            function=partial(mean_cosine, center=True),
            meaning="after subtracting the mean; near 0 for most clouds",
            bounds=lambda n, d: (-1, 1),
            isotropic=isotropic.centered_mean_cosine,
            better="neither",
            invariant="translation rotation scale permutation",
            undefined="fewer than two points differ from the mean",
            cost="n d",
            paper="arXiv:1909.00512",
        ),
        Measure(
            name="anisotropy_1",
            function=anisotropy,
            meaning="variance share of the first direction, centered",
            bounds=lambda n, d: (1 / _rank(n, d), 1),
            isotropic=isotropic.anisotropy_1,
            better="lower",
            invariant="translation rotation scale permutation duplication",
            undefined="no two points differ",
            cost="n d min(n, d)",
            paper="arXiv:2501.05502",
        ),
        Measure(
            name="anisotropy_1_uncentered",
            function=partial(anisotropy, center=False),
            meaning="squared-length share of one direction, not centered",
            bounds=lambda n, d: (1 / _rank(n + 1, d), 1),
            isotropic=lambda n, d: isotropic.anisotropy_1(n + 1, d),
            better="lower",
            invariant="rotation scale permutation duplication",
            undefined="no point differs from zero",
            cost="n d min(n, d)",
            paper="arXiv:2501.05502",
        ),
        Measure(
            name="anisotropy_1_within_class",
            function=within_class_anisotropy,
            meaning="variance share of one direction, centered by class",
            bounds=lambda n, d: (1 / _rank(n, d), 1),
            isotropic=isotropic.anisotropy_1,
            better="lower",
            invariant="translation rotation scale permutation duplication class-translation",
            undefined="no class holds two points that differ",
            cost="n d min(n, d)",
            paper="arXiv:2501.05502",
            needs_labels=True,
        ),
        Measure(
            name="isoscore",
            function=isoscore,
            meaning="share of dimensions the variance fills, centered",
            bounds=lambda n, d: (0, (_rank(n, d) - 1) / max(d - 1, 1)),
            isotropic=isotropic.isoscore,
            better="higher",
            invariant="translation rotation scale permutation duplication",
            undefined="no two points differ, or there is one dimension only",
            cost="n d min(n, d)",
            paper="arXiv:2108.07344",
        ),
        Measure(
            name="effective_rank",
            function=effective_rank,
            meaning="number of directions in use, centered",
            bounds=lambda n, d: (1, _rank(n, d)),
            isotropic=isotropic.effective_rank,
            better="higher",
            invariant="translation rotation scale permutation duplication",
            undefined="no two points differ",
            cost="n d min(n, d)",
            paper="Roy and Vetterli 2007",
        ),
        Measure(
            name="persistent_entropy",
            function=persistent_entropy,
            meaning="evenness of gaps (H0 bars) in nats; no centering needed",
            bounds=lambda n, d: (0, log(max(n - 1, 1))),
            isotropic=isotropic.persistent_entropy,
            better="higher",
            invariant="translation rotation scale permutation duplication",
            undefined="there are fewer than two points",
            cost="n^2 d",
            paper="arXiv:2501.05502",
            from_bars=entropy_of_bars,
        ),
        Measure(
            name="relative_persistent_entropy",
            function=relative_persistent_entropy,
            meaning="evenness of gaps, 1 if equal; no centering needed",
            bounds=lambda n, d: (0, 1),
            isotropic=isotropic.relative_persistent_entropy,
            better="higher",
            invariant="translation rotation scale permutation",
            undefined="there are fewer than three points",
            cost="n^2 d",
            paper="arXiv:2501.05502",
            from_bars=relative_entropy_of_bars,
        ),
    )
}
