"""Rows of clusters and labels: how do classes share the space?"""

from conescope.measures import isotropic
from conescope.measures.anisotropy import within_class_anisotropy, within_class_anisotropy_from_moments
from conescope.measures.row import Measure
from conescope.measures.spectrum import spectrum_length

ROWS = (
    Measure(
        name="anisotropy_1_within_class",
        function=within_class_anisotropy,
        meaning="variance share of one direction, centered by class",
        bounds=lambda n, d: (1 / spectrum_length(n, d), 1),
        isotropic=isotropic.anisotropy_1,
        better="lower",
        invariant="translation rotation scale permutation duplication class-translation",
        undefined="no class holds two points that differ",
        cost="n d min(n, d)",
        paper="arXiv:2501.05502",
        needs="labels",
        reads="moments",
        finish=within_class_anisotropy_from_moments,
    ),
)
