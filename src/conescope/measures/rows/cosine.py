"""Rows of directions and norms: do the points look the same way from the origin?"""

from functools import partial

from conescope.measures import isotropic
from conescope.measures.cosine import mean_cosine, mean_cosine_from_moments
from conescope.measures.row import Measure

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
)
