"""Rows of the H0 barcode: at which gaps do the points join?"""

from math import log

from conescope.measures import isotropic
from conescope.measures.persistent_entropy import (
    entropy_of_bars,
    persistent_entropy,
    relative_entropy_of_bars,
    relative_persistent_entropy,
)
from conescope.measures.row import Measure

ROWS = (
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
        reads="bars",
        finish=entropy_of_bars,
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
        reads="bars",
        finish=relative_entropy_of_bars,
    ),
)
