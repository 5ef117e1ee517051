"""IsoScore*: IsoScore of a covariance that few points leave uncertain, shrunk towards another one.

With the covariance C of n points in d dimensions and 0 <= zeta <= 1,

    IsoScore* = IsoScore((1 - zeta) C + zeta C0).

C0 is the covariance of many points of the same kind where there is one (I-STAR takes 250 000, anew in each
epoch). Without it, C0 = (tr C / d) I: isotropy with the variance of the points. Every eigenvalue then moves
towards their mean, and with w = (1 - zeta)^2 and the participation ratio PR of C

    1 / PR* = w / PR + (1 - w) / d,    IsoScore* = (PR* - 1) / (d - 1),

which rises from IsoScore at zeta = 0 to 1 at zeta = 1; a line scores (1 - w) / (1 + (d - 1) w). By default
it is unchanged by translation, rotation and scaling. With a C0 of its own unit, such as the identity, which
the authors advise where no other is at hand, scaling changes it: small clouds look isotropic.

Shrinkage towards isotropy makes small batches steadier, not unbiased: with fewer points than dimensions it
still reads low.

Reference: Rudman and Eickhoff (2024), "Stable anisotropic regularization", ICLR, arXiv:2305.19358.
"""

import math

import torch

from conescope._check import check_finite, check_points
from conescope._types import Covariance, Points, Scalar
from conescope.measures.isoscore import isoscore_from_covariance, isoscore_from_spectrum
from conescope.measures.spectrum import Spectrum, spectrum

ZETA = 0.2  # of the authors


def isoscore_star(points: Points, *, zeta: float = ZETA, reference: Covariance | None = None) -> Scalar:
    """Return IsoScore*, between 0 and 1.

    One dimension, or no two points that differ, give nan. With a reference, coincident points have the
    covariance 0 and a value; a single point has none and gives nan.

    Args:
        points: of shape (n, d).
        zeta: the weight of C0; 0 gives IsoScore.
        reference: C0, in the square of the unit of the points, whose covariance is divided by n - 1; None
            takes isotropy with the total variance of the points.

    Raises:
        ValueError: if zeta leaves [0, 1], or the reference is not a finite matrix of shape (d, d).

    >>> points = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])  # w = 1/4, so (1 - 1/4) / (1 + 1/4)
    >>> isoscore_star(points, zeta=0.5)
    tensor(0.6000)
    """
    if reference is None or zeta == 0:
        return isoscore_star_from_spectrum(spectrum(points), zeta=zeta).to(points.dtype)
    _check_zeta(zeta)
    check_points(points)
    check_finite(points)
    n, d = points.shape
    if reference.shape != (d, d):
        raise ValueError(
            f"reference is a covariance of shape ({d}, {d}), as the points have d = {d}, got shape "
            f"{tuple(reference.shape)}"
        )
    if not torch.isfinite(reference).all():
        raise ValueError("reference must be finite, but holds NaN or infinity; compute it from finite points")
    if n < 2:
        return points.sum() * math.nan
    # no change of unit here: that of the reference is given. From differences coincident points give zeros.
    rows = points.double() - points[0].detach().double()
    shrunk = (1 - zeta) * torch.cov(rows.T).reshape(d, d) + zeta * reference.double()
    return isoscore_from_covariance(shrunk).to(points.dtype)


def isoscore_star_from_spectrum(spectrum: Spectrum, *, zeta: float = ZETA) -> Scalar:
    """Return `isoscore_star` of any points with this spectrum, shrunk towards isotropy."""
    _check_zeta(zeta)
    squares = torch.nn.functional.pad(spectrum.squares, (0, spectrum.d - len(spectrum.squares)))
    shrunk = (1 - zeta) * squares + zeta * squares.mean()
    return isoscore_from_spectrum(Spectrum(shrunk, spectrum.n, spectrum.d))


def _check_zeta(zeta: float) -> None:
    if not 0 <= zeta <= 1:
        raise ValueError(f"zeta is the weight of the reference, between 0 and 1, got {zeta}")
