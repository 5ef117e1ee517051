"""Rows of the H0 barcode: at which gaps do the points join?"""

from math import inf, log

from conescope.measures import isotropic
from conescope.measures.longest_bar import longest_bar_ratio, ratio_of_longest_bar
from conescope.measures.persistent_entropy import (
    entropy_of_bars,
    persistent_entropy,
    relative_entropy_of_bars,
    relative_persistent_entropy,
)
from conescope.measures.row import Measure
from conescope.measures.selected_bars import count_of_selected_bars, selected_bars

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
    Measure(
        name="selected_bars",
        function=selected_bars,
        meaning="gaps (H0 bars) that the recursive rule keeps",
        bounds=lambda n, d: (0, max(n - 1, 0)),
        isotropic=lambda n, d: None,
        better="neither",
        invariant="translation rotation scale permutation duplication",
        undefined="there are fewer than two points",
        cost="n^2 d",
        paper="arXiv:1701.07857",
        reads="bars",
        finish=count_of_selected_bars,
        differentiable=False,
        jackknife=False,
    ),
    Measure(
        name="longest_bar_ratio",
        function=longest_bar_ratio,
        meaning="widest gap over the median one; large: something lies apart",
        bounds=lambda n, d: (1, inf),
        isotropic=lambda n, d: None,
        better="lower",
        invariant="translation rotation scale permutation duplication",
        undefined="no two points differ",
        cost="n^2 d",
        paper="Gower and Ross 1969",
        reads="bars",
        finish=ratio_of_longest_bar,
        jackknife=False,
    ),
)
