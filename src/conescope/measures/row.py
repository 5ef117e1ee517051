"""One row of the table MEASURES: a function of points, and what is known about its values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Reads = Literal[
    "points", "moments", "spectrum", "uncentered_spectrum", "neighbors", "bars", "quantization", "clusters"
]


@dataclass(frozen=True)
class Measure:
    """A measure and its contract, which the tests hold it to.

    `function(points)` is the public one; with `needs` it takes labels, or the partners of the points, as its
    second argument. Many measures depend on the points through a statistic that others share: `reads` names
    it, and `finish(statistic)` returns the same number in float64. A measure that reads "points" takes the
    function itself. What reads moments or a spectrum is exact at any size; the rest looks at pairs of points,
    of a sample where there are many.

    `bounds` and `isotropic` are functions of n and d: the least and the greatest value, and what n points of
    an isotropic Gaussian give (None where no formula is known: then one is drawn and measured). `healthy` is
    the range, of n and d, in which nothing needs to be done, or None where there is no agreed one.
    `invariant` names what does not change the value, among translation, rotation, scale, row-scale (each
    point by its own factor), permutation, duplication (every point taken twice), class-translation.
    `undefined` says when the function returns nan.
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
    reads: Reads = "points"
    finish: Callable[[Any], Tensor] | None = None
    needs: Literal["nothing", "labels", "partners"] = "nothing"
    healthy: Callable[[int, int], tuple[float, float] | None] = lambda n, d: None
    order: Literal[1, 2] = 2  # of the moments it reads; 1 costs n d, 2 costs n d^2
    differentiable: bool = True
    jackknife: bool = True  # whether its error is worth telling so; not for counts
    package: str = ""  # which the function needs besides torch; the extra "measures" brings it

    @property
    def needs_labels(self) -> bool:
        return self.needs == "labels"

    @property
    def sampled(self) -> bool:
        """Whether it looks at pairs of points, and so takes a sample of many."""
        return self.reads not in ("moments", "spectrum", "uncentered_spectrum") and self.needs != "partners"
