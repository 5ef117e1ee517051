"""Condition number and variance ratio: how far apart are the strongest and the weakest direction?

With the eigenvalues lam_1 >= lam_2 >= ... of the covariance of n points in d dimensions,

    condition number = lam_1 / lam_p,    p = min(n - 1, d), the directions that a centered cloud can have;
    variance ratio   = lam_p / lam_1,    p = min(n, d), the components that a PCA returns.

Both are 1 when all directions are equally strong. The condition number grows without bound as a direction
empties, and has no value when one is empty to rounding; the variance ratio is 0 then, and also for all
n <= d, since centering empties one of the n components. For n > d one is the inverse of the other. Unchanged
by translation, rotation and scaling. They look at two eigenvalues only, one of which is often noise.

Reference: the variance ratio is the "PC ratio" of Marbut, McKinney-Bock and Wheeler (2023), ICML,
arXiv:2212.08172. The condition number is that of the covariance: the square of the centered matrix's.
"""

import math

import torch

from conescope._types import Points, Scalar
from conescope.measures.spectrum import Spectrum, spectrum, spectrum_length


def condition_number(points: Points) -> Scalar:
    """Return the greatest over the least of the min(n - 1, d) variances that there can be, at least 1.

    Where one of them is empty, which is to say weaker than rounding, the number would be infinite or noise:
    it is nan, as it is without two points that differ. Repeated points can empty a direction. Where the
    largest or the smallest eigenvalue is multiple, the gradient is one of several.

    >>> condition_number(torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))  # 8 / 2
    tensor(4.)
    """
    return condition_number_from_spectrum(spectrum(points)).to(points.dtype)


def condition_number_from_spectrum(spectrum: Spectrum) -> Scalar:
    """Return `condition_number` of any points with this centered spectrum."""
    p = spectrum_length(spectrum.n, spectrum.d)
    first, last = spectrum.squares[:1].sum(), spectrum.squares[p - 1 : p].sum()  # 0 without points
    ratio: Scalar = first / torch.where(last > 0, last, math.nan)
    return ratio


def variance_ratio(points: Points) -> Scalar:
    """Return the least PCA variance over the greatest, from 0 (an empty direction) to 1 (all are equal).

    For n <= d it is 0 whatever the points. Without two points that differ it is nan.

    >>> variance_ratio(torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))  # 2 / 8
    tensor(0.2500)
    """
    return variance_ratio_from_spectrum(spectrum(points)).to(points.dtype)


def variance_ratio_from_spectrum(spectrum: Spectrum) -> Scalar:
    """Return `variance_ratio` of any points with this centered spectrum."""
    kept = float(spectrum.n > spectrum.d)  # what rounding leaves of the direction that centering took
    return kept * spectrum.squares[-1:].sum() / spectrum.squares[:1].sum()
