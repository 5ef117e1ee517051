"""Rows of the spectrum: how is the spread shared among directions?"""

import math
from functools import partial

from conescope.measures import healthy, isotropic
from conescope.measures.anisotropy import anisotropy, anisotropy_from_spectrum
from conescope.measures.condition_number import (
    condition_number,
    condition_number_from_spectrum,
    variance_ratio,
    variance_ratio_from_spectrum,
)
from conescope.measures.effective_rank import (
    effective_rank,
    effective_rank_from_spectrum,
    effective_rank_of_variances,
    effective_rank_of_variances_from_spectrum,
)
from conescope.measures.isoscore import isoscore, isoscore_from_spectrum
from conescope.measures.isoscore_star import ZETA, isoscore_star, isoscore_star_from_spectrum
from conescope.measures.participation_ratio import participation_ratio, participation_ratio_from_spectrum
from conescope.measures.rankme import EPSILON, rankme, rankme_from_spectrum
from conescope.measures.row import Measure
from conescope.measures.spectrum import spectrum_length
from conescope.measures.spectrum_slope import spectrum_slope, spectrum_slope_from_spectrum
from conescope.measures.stable_rank import stable_rank, stable_rank_from_spectrum

# How far from square a Gaussian cloud must be for its weakest direction to be predictable: nearer, 1 / lam_p
# has no mean.
OBLONG = 1.25


def _isotropic_participation_ratio(n: int, d: int) -> float | None:
    """Return what the moments of the Wishart distribution give: 1 + (d - 1) IsoScore."""
    if n < 2:
        return None
    return 1 + (d - 1) * (isotropic.isoscore(n, d) or 0.0)


def _isotropic_rank_of_variances(n: int, d: int) -> float | None:
    """Return p e^(-p / 2m), p = min(n - 1, d), m the greater: the mean entropy of Page (1993) for large m."""
    m = n - 1
    return None if m < 1 else max(min(m, d) * math.exp(-min(m, d) / max(m, d) / 2), 1.0)


def _isotropic_stable_rank(n: int, d: int) -> float | None:
    share = isotropic.anisotropy_1(n, d)
    return None if share is None else 1 / share


def _isotropic_condition_number(n: int, d: int) -> float | None:
    """Return the ratio of the mean Tracy-Widom edges, shifted by one half as Ma (2012) does."""
    p, m = min(n - 1, d), max(n - 1, d)
    if p < 1 or m < OBLONG * p:
        return None
    if p == 1:
        return 1.0
    long, short = math.sqrt(m - 0.5), math.sqrt(p - 0.5)
    mean = isotropic.TRACY_WIDOM_MEAN
    greatest = (long + short) ** 2 + mean * (long + short) * (1 / long + 1 / short) ** (1 / 3)
    least = (long - short) ** 2 - mean * (long - short) * (1 / short - 1 / long) ** (1 / 3)
    ratio: float = greatest / least
    return ratio


def _isotropic_variance_ratio(n: int, d: int) -> float | None:
    if n < 2:
        return None
    if n <= d:
        return 0.0
    condition = _isotropic_condition_number(n, d)
    return None if condition is None else 1 / condition


def _isotropic_isoscore_star(n: int, d: int) -> float | None:
    participation = _isotropic_participation_ratio(n, d)
    return None if participation is None or d < 2 else _isoscore_star_of(participation, d)


def _isoscore_star_of(participation: float, d: int) -> float:
    """Return IsoScore* of a participation ratio, shrunk towards isotropy."""
    kept = (1 - ZETA) ** 2
    return (1 / (kept / participation + (1 - kept) / d) - 1) / max(d - 1, 1)


def _rankme_bounds(n: int, d: int) -> tuple[float, float]:
    """Return RankMe of one direction and of all: entropy is concave, so these are its ends."""
    k = max(min(n, d), 1)
    one = -(1 + EPSILON) * math.log(1 + EPSILON) - (k - 1) * EPSILON * math.log(EPSILON)
    every = -(1 + k * EPSILON) * math.log(1 / k + EPSILON)
    return math.exp(one), math.exp(every)


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
        healthy=healthy.anisotropy_1,
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
        healthy=healthy.effective_rank,
        reads="spectrum",
        finish=effective_rank_from_spectrum,
    ),
    Measure(
        name="effective_rank_of_variances",
        function=effective_rank_of_variances,
        meaning="number of directions that hold the variance, centered",
        bounds=lambda n, d: (1, spectrum_length(n, d)),
        isotropic=_isotropic_rank_of_variances,
        better="higher",
        invariant="translation rotation scale permutation duplication",
        undefined="no two points differ",
        cost="n d min(n, d)",
        paper="Roy and Vetterli 2007",
        reads="spectrum",
        finish=effective_rank_of_variances_from_spectrum,
    ),
    Measure(
        name="participation_ratio",
        function=participation_ratio,
        meaning="number of directions, by squared variance shares, centered",
        bounds=lambda n, d: (1, spectrum_length(n, d)),
        isotropic=_isotropic_participation_ratio,
        better="higher",
        invariant="translation rotation scale permutation duplication",
        undefined="no two points differ",
        cost="n d min(n, d)",
        paper="Gao et al. 2017",
        reads="spectrum",
        finish=participation_ratio_from_spectrum,
    ),
    Measure(
        name="stable_rank",
        function=stable_rank,
        meaning="number of directions as strong as the first, centered",
        bounds=lambda n, d: (1, spectrum_length(n, d)),
        isotropic=_isotropic_stable_rank,
        better="higher",
        invariant="translation rotation scale permutation duplication",
        undefined="no two points differ",
        cost="n d min(n, d)",
        paper="Rudelson and Vershynin 2007",
        reads="spectrum",
        finish=stable_rank_from_spectrum,
    ),
    Measure(
        name="rankme",
        function=rankme,
        meaning="number of directions in use, not centered",
        bounds=_rankme_bounds,
        isotropic=lambda n, d: isotropic.effective_rank(n + 1, d),
        better="higher",
        invariant="rotation scale permutation",
        undefined="no point differs from zero",
        cost="n d min(n, d)",
        paper="arXiv:2210.02885",
        reads="uncentered_spectrum",
        finish=rankme_from_spectrum,
    ),
    Measure(
        name="isoscore_star",
        function=isoscore_star,
        meaning="IsoScore, shrunk towards isotropy by 0.2, centered",
        bounds=lambda n, d: (_isoscore_star_of(1.0, d), _isoscore_star_of(float(spectrum_length(n, d)), d)),
        isotropic=_isotropic_isoscore_star,
        better="higher",
        invariant="translation rotation scale permutation duplication",
        undefined="no two points differ, or there is one dimension only",
        cost="n d min(n, d)",
        paper="arXiv:2305.19358",
        reads="spectrum",
        finish=isoscore_star_from_spectrum,
    ),
    Measure(
        name="spectrum_slope",
        function=spectrum_slope,
        meaning="decay of variances over ranks as a power law; 0: flat",
        bounds=lambda n, d: (0, math.inf),
        isotropic=lambda n, d: None,
        better="lower",
        invariant="translation rotation scale permutation duplication",
        undefined="the points span fewer than three directions",
        cost="n d min(n, d)",
        paper="Agrawal et al. 2022",
        reads="spectrum",
        finish=spectrum_slope_from_spectrum,
    ),
    Measure(
        name="condition_number",
        function=condition_number,
        meaning="strongest variance over weakest, centered",
        bounds=lambda n, d: (1, math.inf if spectrum_length(n, d) > 1 else 1),
        isotropic=_isotropic_condition_number,
        better="lower",
        invariant="translation rotation scale permutation",
        undefined="a direction is empty (below rounding), or no two points differ",
        cost="n d min(n, d)",
        paper="arXiv:2212.08172",
        reads="spectrum",
        finish=condition_number_from_spectrum,
    ),
    Measure(
        name="variance_ratio",
        function=variance_ratio,
        meaning="weakest variance over strongest, centered; 0 if n <= d",
        bounds=lambda n, d: (0, 1 if n > d else 0),
        isotropic=_isotropic_variance_ratio,
        better="higher",
        invariant="translation rotation scale permutation duplication",
        undefined="no two points differ",
        cost="n d min(n, d)",
        paper="arXiv:2212.08172",
        reads="spectrum",
        finish=variance_ratio_from_spectrum,
    ),
)
