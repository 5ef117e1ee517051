"""RankMe: the effective rank of the points as they are, with a small constant in each share.

With the singular values sigma_1 >= ... >= sigma_k, k = min(n, d), of the matrix whose rows are the points,
nothing subtracted,

    RankMe = exp(- sum_i p_i ln p_i),    p_i = sigma_i / sum_j sigma_j + 1e-7.

It was made to choose among pretrained encoders without labels: on one set of images, a higher value went with
better linear probes. The shares sum to 1 + k 1e-7 and empty directions have the share 1e-7, so the value can
leave the range 1 to k by about k 2e-6 of itself. Unchanged by rotation and scaling; a translation changes it,
as a common mean is a direction like any other and usually the strongest.

Relations: without the constant it is `effective_rank(points, center=False)`.

Reference: Garrido, Balestriero, Najman, LeCun (2023), ICML, arXiv:2210.02885.
"""

import math

import torch

from conescope._types import Points, Scalar
from conescope.measures.spectrum import Spectrum, spectrum

EPSILON = 1e-7


def rankme(points: Points) -> Scalar:
    """Return RankMe, from about 1 (one direction) to about min(n, d) (all equally strong).

    Singular values that are zero to rounding (below about 3e-7 of the largest) have the share 1e-7 and no
    gradient. Without a point that differs from zero it is nan.

    >>> rankme(torch.tensor([[3.0, 0.0], [0.0, 3.0]]))
    tensor(2.0000)
    """
    return rankme_from_spectrum(spectrum(points, center=False)).to(points.dtype)


def rankme_from_spectrum(spectrum: Spectrum) -> Scalar:
    """Return `rankme` of any points with this uncentered spectrum."""
    positive = spectrum.squares > 0
    lengths = torch.where(positive, torch.where(positive, spectrum.squares, 1).sqrt(), 0)
    shares = lengths / torch.where(positive.any(), lengths.sum(), math.nan) + EPSILON
    return torch.where(positive.any(), torch.exp(-(shares * shares.log()).sum()), math.nan)
