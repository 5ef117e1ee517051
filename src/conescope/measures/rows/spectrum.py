"""Rows of the spectrum: how is the spread shared among directions?"""

from functools import partial

from conescope.measures import isotropic
from conescope.measures.anisotropy import anisotropy, anisotropy_from_spectrum
from conescope.measures.effective_rank import effective_rank, effective_rank_from_spectrum
from conescope.measures.isoscore import isoscore, isoscore_from_spectrum
from conescope.measures.row import Measure
from conescope.measures.spectrum import spectrum_length

ROWS = (
    Measure(
        name="anisotropy_1",
        function=anisotropy,
        meaning="variance share of the first direction, centered",
        bounds=lambda n, d: (1 / spectrum_length(n, d), 1),
        isotropic=isotropic.anisotropy_1,
        better="lower",
        invariant="translation rotation scale permutation duplication",
        undefined="no two points differ",
        cost="n d min(n, d)",
        paper="arXiv:2501.05502",
        reads="spectrum",
        finish=anisotropy_from_spectrum,
    ),
    Measure(
        name="anisotropy_1_uncentered",
        function=partial(anisotropy, center=False),
        meaning="squared-length share of one direction, not centered",
        bounds=lambda n, d: (1 / spectrum_length(n + 1, d), 1),
        isotropic=lambda n, d: isotropic.anisotropy_1(n + 1, d),
        better="lower",
        invariant="rotation scale permutation duplication",
        undefined="no point differs from zero",
        cost="n d min(n, d)",
        paper="arXiv:2501.05502",
        reads="uncentered_spectrum",
        finish=anisotropy_from_spectrum,
    ),
    Measure(
        name="isoscore",
        function=isoscore,
        meaning="share of dimensions the variance fills, centered",
        bounds=lambda n, d: (0, (spectrum_length(n, d) - 1) / max(d - 1, 1)),
        isotropic=isotropic.isoscore,
        better="higher",
        invariant="translation rotation scale permutation duplication",
        undefined="no two points differ, or there is one dimension only",
        cost="n d min(n, d)",
        paper="arXiv:2108.07344",
        reads="spectrum",
        finish=isoscore_from_spectrum,
    ),
    Measure(
        name="effective_rank",
        function=effective_rank,
        meaning="number of directions in use, centered",
        bounds=lambda n, d: (1, spectrum_length(n, d)),
        isotropic=isotropic.effective_rank,
        better="higher",
        invariant="translation rotation scale permutation duplication",
        undefined="no two points differ",
        cost="n d min(n, d)",
        paper="Roy and Vetterli 2007",
        reads="spectrum",
        finish=effective_rank_from_spectrum,
    ),
)
