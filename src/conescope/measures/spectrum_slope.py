"""Spectrum slope: how fast do the variances fall along the principal directions?

With the eigenvalues lam_1 >= lam_2 >= ... of the covariance, a power law lam_i ~ i^(-alpha) is a line in
logarithms, and

    alpha = - slope of the least-squares line through (ln i, ln lam_i), i = first .. last,

every rank of equal weight. 0 is a flat spectrum. At 1 each decade of ranks holds the same variance; as
dimensions grow, below 1 the tail comes to hold nearly all of it, above 1 the first few directions do.

No spectrum is a power law from end to end, so alpha belongs to its range. Of r directions that are not empty
the default range is 1 + r // 20 .. r / 2 (rounded up, and three ranks at least): the first 5 % are left out
because a few outliers (rogue dimensions, classes) stand above any law and would have great leverage in ln i,
the weaker half because there the spectrum of a sample bends down from that of its source. Values of
different ranges can not be compared. Unchanged by translation, rotation and scaling.

Reference: Agrawal, Mondal, Ghosh, Richards (2022), "alpha-ReQ", NeurIPS, who find alpha near 1 in good
representations; after Stringer, Pachitariu, Steinmetz, Carandini, Harris (2019), Nature 571, who fit ranks
11 to 500, with a weight of 1 / i in their code.
"""

import math

import torch

from conescope._types import Points, Scalar
from conescope.measures.spectrum import Spectrum, spectrum

LEAST = 3  # ranks for a line that says something


def spectrum_slope(points: Points, *, ranks: tuple[int, int] | None = None) -> Scalar:
    """Return alpha of the centered spectrum, at least 0 (flat).

    Empty directions (zero to rounding) have no logarithm and are left out. With fewer than three others in
    the range it is nan.

    Args:
        points: of shape (n, d).
        ranks: first and last rank of the fit, counted from 1, both included; None takes `slope_ranks` of the
            number of directions that are not empty.

    Raises:
        ValueError: if ranks are not at least three, counted from 1.

    >>> points = torch.diag(torch.tensor([1.0, 1 / 2, 1 / 3, 1 / 4]))  # squares 1 / i^2
    >>> spectrum_slope(torch.cat([points, -points]))
    tensor(2.)
    """
    return spectrum_slope_from_spectrum(spectrum(points), ranks=ranks).to(points.dtype)


def spectrum_slope_from_spectrum(spectrum: Spectrum, *, ranks: tuple[int, int] | None = None) -> Scalar:
    """Return `spectrum_slope` of any points with this spectrum."""
    directions = int((spectrum.squares > 0).sum())
    first, last = slope_ranks(directions) if ranks is None else ranks
    if ranks is not None and not 1 <= first <= last - LEAST + 1:
        raise ValueError(
            f"ranks are the first and the last of at least {LEAST} ranks, counted from 1, got {ranks}"
        )
    last = min(last, directions)
    if last - first + 1 < LEAST:
        return spectrum.squares.sum() * math.nan
    logarithms = spectrum.squares[first - 1 : last].log()
    steps = torch.arange(first, last + 1, dtype=torch.float64, device=logarithms.device).log()
    steps = steps - steps.mean()
    return -(steps @ logarithms) / (steps @ steps)


def slope_ranks(directions: int) -> tuple[int, int]:
    """Return the first and the last rank that `spectrum_slope` fits by default to so many directions.

    >>> slope_ranks(768)
    (39, 384)
    """
    return 1 + directions // 20, max((directions + 1) // 2, LEAST)
