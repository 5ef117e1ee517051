"""Rows of directions and norms: do the points look the same way from the origin, and how long are they?"""

from functools import partial
from math import exp, inf, lgamma, sqrt

from conescope.measures import isotropic
from conescope.measures.cosine import mean_cosine, mean_cosine_from_moments
from conescope.measures.drift import (
    drift,
    drift_from_moments,
    relative_drift,
    relative_drift_from_moments,
)
from conescope.measures.intra_text_similarity import (
    intra_text_similarity,
    intra_text_similarity_adjusted,
    intra_text_similarity_adjusted_from_moments,
    intra_text_similarity_from_moments,
)
from conescope.measures.norms import (
    mean_norm,
    mean_norm_from_moments,
    norm_variation,
    norm_variation_from_moments,
)
from conescope.measures.rogue_dimensions import rogue_share, rogue_share_from_moments
from conescope.measures.row import Measure
from conescope.measures.self_similarity import (
    self_similarity,
    self_similarity_adjusted,
    self_similarity_adjusted_from_moments,
    self_similarity_from_moments,
)


def _gaussian_norm_variation(n: int, d: int) -> float | None:
    """Return the deviation of the chi distribution over its mean; n - 1 of n deviations are free."""
    if n < 1:
        return None
    squared_mean = 2 * exp(2 * (lgamma((d + 1) / 2) - lgamma(d / 2)))
    return sqrt((1 - 1 / n) * max(d / squared_mean - 1, 0))


ROWS = (
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
        reads="moments",
        finish=mean_cosine_from_moments,
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
        name="drift",
        function=drift,
        meaning="length of the mean, in the unit of the points",
        bounds=lambda n, d: (0, inf),
        isotropic=lambda n, d: None,
        better="neither",
        invariant="rotation permutation duplication",
        undefined="there is no point",
        cost="n d",
        paper="arXiv:2401.12143",
        reads="moments",
        finish=drift_from_moments,
    ),
    Measure(
        name="relative_drift",
        function=relative_drift,
        meaning="length of the mean over the mean length",
        bounds=lambda n, d: (0, 1),
        # 1 / sqrt(n) on average, but one cloud of few dimensions is far from the average: it is drawn
        isotropic=lambda n, d: None,
        better="lower",
        invariant="rotation scale permutation duplication",
        undefined="no point differs from zero",
        cost="n d",
        paper="arXiv:2401.12143",
        reads="moments",
        finish=relative_drift_from_moments,
    ),
    Measure(
        name="mean_norm",
        function=mean_norm,
        meaning="mean length of the points, in their unit",
        bounds=lambda n, d: (0, inf),
        isotropic=lambda n, d: None,
        better="neither",
        invariant="rotation permutation duplication",
        undefined="there is no point",
        cost="n d",
        paper="arXiv:1909.00512",
        reads="moments",
        finish=mean_norm_from_moments,
    ),
    Measure(
        name="norm_variation",
        function=norm_variation,
        meaning="standard deviation of lengths over their mean; 0: a sphere",
        bounds=lambda n, d: (0, sqrt(max(n - 1, 0))),
        isotropic=_gaussian_norm_variation,
        better="neither",
        invariant="rotation scale permutation duplication",
        undefined="no point differs from zero",
        cost="n d",
        paper="arXiv:1909.00512",
        reads="moments",
        finish=norm_variation_from_moments,
    ),
    Measure(
        name="rogue_share",
        function=rogue_share,
        meaning="share of the mean cosine that three coordinates carry",
        bounds=lambda n, d: (min(3, d) / d, 2),
        isotropic=lambda n, d: None,
        better="lower",
        invariant="scale row-scale permutation",
        undefined="the mean cosine is not told from 0: it is at most 1 / (n - 1)",
        cost="n d",
        paper="arXiv:2109.04404",
        reads="moments",
        finish=rogue_share_from_moments,
    ),
    Measure(
        name="self_similarity",
        function=self_similarity,
        meaning="mean cosine within a label (word type), mean over labels",
        bounds=lambda n, d: (-1, 1),
        isotropic=lambda n, d: None if n < 2 else 0.0,
        better="neither",
        invariant="rotation scale row-scale permutation",
        undefined="no label has two points that differ from zero",
        cost="n d",
        paper="arXiv:1909.00512",
        needs="labels",
        reads="moments",
        finish=self_similarity_from_moments,
    ),
    Measure(
        name="self_similarity_adjusted",
        function=self_similarity_adjusted,
        meaning="self_similarity minus the mean cosine of all points",
        bounds=lambda n, d: (-2, 4 / 3),
        isotropic=lambda n, d: None if n < 2 else 0.0,
        better="neither",
        invariant="rotation scale row-scale permutation",
        undefined="no label has two points that differ from zero",
        cost="n d",
        paper="arXiv:1909.00512",
        needs="labels",
        reads="moments",
        finish=self_similarity_adjusted_from_moments,
    ),
    Measure(
        name="intra_text_similarity",
        function=intra_text_similarity,
        meaning="mean cosine with the mean of the label (text), mean over labels",
        bounds=lambda n, d: (-1, 1),
        isotropic=lambda n, d: None,
        better="neither",
        invariant="rotation scale permutation duplication",
        undefined="the mean of every label is zero",
        cost="n d",
        paper="arXiv:1909.00512",
        needs="labels",
        reads="moments",
        finish=intra_text_similarity_from_moments,
    ),
    Measure(
        name="intra_text_similarity_adjusted",
        function=intra_text_similarity_adjusted,
        meaning="intra_text_similarity minus the mean cosine of all points",
        bounds=lambda n, d: (-2, 2),
        isotropic=lambda n, d: None,
        better="neither",
        invariant="rotation scale permutation",
        undefined="the mean of every label is zero, or fewer than two points differ from zero",
        cost="n d",
        paper="arXiv:1909.00512",
        needs="labels",
        reads="moments",
        finish=intra_text_similarity_adjusted_from_moments,
    ),
)
