"""Eigenvalue early enrichment (EEE): how soon do the principal directions use up the spread?

Let lambda_1 >= ... >= lambda_p be the variances along the p = min(n, d) principal directions, and c_k the
share of the spread in the first k of them. The cumulative curve c_k is compared with the straight line k / p
of an even spectrum: with y_k = c_k - k / p,

    EEE = 2 / p (sum_k y_k - (y_1 + y_p) / 2),

the area between them by the trapezoid rule from k = 1 to p, over the area p / 2 under the line.

It is 0 for an even spectrum and ((p - 1) / p)^2, never 1, for a single direction. With n <= d the last
variance is zero, because centering takes one direction, and the least value is (1 - 1 / (n (n - 1))) / n:
0.25 for two different points, always. For many directions it is the Gini coefficient of the variances.

The authors round to four decimals; here nothing is rounded.

Reference: Marbut, McKinney-Bock and Wheeler (2023), "Reliable measures of spread in high dimensional latent
spaces", ICML, arXiv:2212.08172.
"""

import math

import numpy as np
import torch

from conescope._types import Points, Scalar
from conescope.measures.spectrum import Spectrum, spectrum


def eee(points: Points) -> Scalar:
    """Return the eigenvalue early enrichment, from 0 (even) to ((p - 1) / p)^2 (one direction).

    One dimension gives 0. Without spread (no point, one point, coincident points) it is nan.

    >>> axes = torch.diag(torch.tensor([3.0, 1.0]).sqrt())
    >>> eee(torch.cat([axes, -axes]))  # variances 3 and 1: y = (1/4, 0)
    tensor(0.1250)
    """
    return eee_from_spectrum(spectrum(points)).to(points.dtype)


def eee_from_spectrum(spectrum: Spectrum) -> Scalar:
    """Return `eee` of any points with this (centered) spectrum."""
    squares = spectrum.squares
    p, total = len(squares), squares.sum()
    shares = squares / torch.where(total > 0, total, 1)
    even = torch.arange(1, p + 1, dtype=squares.dtype, device=squares.device) / max(p, 1)
    area = torch.trapezoid(shares.cumsum(dim=0) - even) if p else total
    return torch.where(total > 0, 2 / max(p, 1) * area, math.nan)


def least_eee(n: int, d: int) -> float:
    """Return the least EEE that n points in d dimensions can have."""
    return 0.0 if n > d or n < 2 else (1 - 1 / (n * (n - 1))) / n


def isotropic_eee(n: int, d: int) -> float | None:
    """Return the EEE to expect of n points of an isotropic Gaussian, from the Marchenko-Pastur law."""
    m, p = n - 1, min(n, d)
    if m < 1:
        return None
    count, q = min(m, d), min(m, d) / max(m, d)
    # On the circle the law is 2 / pi sin^2(angle) / eigenvalue with eigenvalue = |1 + sqrt(q) e^(i angle)|^2:
    # largest eigenvalues first, and the spread up to an angle has the density 2 / pi sin^2(angle).
    angle = (np.arange(4096) + 0.5) * np.pi / 4096
    spread = 2 / 4096 * np.sin(angle) ** 2
    number = spread / (1 + q + 2 * math.sqrt(q) * np.cos(angle))
    curve = float(((np.cumsum(spread) - spread / 2) * number).sum())  # mean of c over the count directions
    first = min((1 + math.sqrt(q)) ** 2 / count, 1.0)
    whole = 2 * (count * curve + (p - count)) / p - 1  # an empty direction, where there is one, has c = 1
    # the curve begins at k = 1, so the triangle below y_1 is left out
    return min(max(whole - (first - 1 / p) / p, least_eee(n, d)), (1 - 1 / p) ** 2)
