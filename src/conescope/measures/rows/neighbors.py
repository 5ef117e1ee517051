"""Rows of nearest neighbors: hubs, density, and the dimension that growth of neighborhoods shows."""

from math import inf, sqrt

from conescope.measures import healthy
from conescope.measures.density_variation import density_variation, density_variation_from_neighbors
from conescope.measures.hubness import (
    antihubs,
    antihubs_from_neighbors,
    hubness,
    hubness_from_neighbors,
)
from conescope.measures.mle_dimension import mle_dimension, mle_dimension_from_neighbors
from conescope.measures.ph_dimension import ph_dimension
from conescope.measures.row import Measure
from conescope.measures.twonn import twonn, twonn_from_neighbors


def _most_antihubs(n: int) -> float:
    return max(1 - (min(10, n - 2) + 1) / max(n, 1), 0)  # somebody's 10 nearest, and that somebody's


ROWS = (
    Measure(
        name="hubness",
        function=hubness,
        meaning="skewness of how often a point is among the 10 nearest of another; 0: no hubs",
        bounds=lambda n, d: (-max(n - 2, 0) / sqrt(max(n - 1, 1)), max(n - 2, 0) / sqrt(max(n - 1, 1))),
        isotropic=lambda n, d: None,
        better="neither",
        invariant="translation rotation scale permutation",
        undefined="there are fewer than three points, or the 10 nearest of every point are its copies",
        cost="n^2 d",
        paper="Radovanovic et al. 2010",
        reads="neighbors",
        finish=hubness_from_neighbors,
        differentiable=False,
    ),
    Measure(
        name="antihubs",
        function=antihubs,
        meaning="share of points that are among the 10 nearest of no other",
        bounds=lambda n, d: (0, _most_antihubs(n)),
        isotropic=lambda n, d: None,
        better="neither",
        invariant="translation rotation scale permutation",
        undefined="there are fewer than three points, or the 10 nearest of every point are its copies",
        cost="n^2 d",
        paper="Radovanovic et al. 2010",
        healthy=healthy.antihubs,
        reads="neighbors",
        finish=antihubs_from_neighbors,
        differentiable=False,
    ),
    Measure(
        name="twonn",
        function=twonn,
        meaning="intrinsic dimension by the two nearest neighbors; too low in many dimensions",
        bounds=lambda n, d: (0, inf),
        isotropic=lambda n, d: None,
        better="higher",
        invariant="translation rotation scale permutation duplication",
        undefined="fewer than half of the points have two distinct others among their 20 nearest, or all "
        "distances to the two nearest are equal",
        cost="n^2 d",
        paper="Facco et al. 2017",
        reads="neighbors",
        finish=twonn_from_neighbors,
    ),
    Measure(
        name="mle_dimension",
        function=mle_dimension,
        meaning="intrinsic dimension by the 20 nearest neighbors; too low in many dimensions",
        bounds=lambda n, d: (0, inf),
        isotropic=lambda n, d: None,
        better="higher",
        invariant="translation rotation scale permutation",
        undefined="fewer than half of the points have two distinct others among their 20 nearest, or all "
        "distances to neighbors are equal",
        cost="n^2 d",
        paper="Levina and Bickel 2005",
        reads="neighbors",
        finish=mle_dimension_from_neighbors,
    ),
    Measure(
        name="ph_dimension",
        function=ph_dimension,
        meaning="intrinsic dimension by the growth of total H0 bar length with the number of points",
        bounds=lambda n, d: (0, inf),
        isotropic=lambda n, d: None,
        better="higher",
        invariant="translation rotation scale permutation duplication",
        undefined="gaps do not shrink with more points, or fewer than three points are distinct",
        cost="n^2 d",
        paper="arXiv:2111.13171",
        jackknife=False,  # ten times the subsamples take longer than all other intervals together
    ),
    Measure(
        name="density_variation",
        function=density_variation,
        meaning="variation of the distance to the 10th neighbor; 0: equally dense everywhere",
        bounds=lambda n, d: (0, sqrt(max(n - 1, 0))),
        isotropic=lambda n, d: None,
        better="neither",
        invariant="translation rotation scale permutation",
        undefined="there are fewer than two points, or every point has 10 copies",
        cost="n^2 d",
        paper="Loftsgaarden and Quesenberry 1965",
        reads="neighbors",
        finish=density_variation_from_neighbors,
    ),
)
