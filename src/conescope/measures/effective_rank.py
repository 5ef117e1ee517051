"""Effective rank: how many directions a point cloud uses, counted smoothly.

With the singular values of the matrix whose rows are the points,

    erank = exp(- sum_i p_i ln p_i),    p_i = sigma_i / sum_j sigma_j    (0 ln 0 = 0).

It is 1 for a line and r when r directions are equally strong; it never exceeds the rank. Taken from
the singular values, not from their squares: weak directions count for more than in the
participation ratio, so erank >= PR. Unchanged by rotation and scaling, and, centered, by translation.

The eigenvalue form, `effective_rank_of_variances`, takes the shares p_i = sigma_i^2 / sum_j sigma_j^2 of the
variance instead. Many texts call it effective rank too. It never exceeds the form above:

    PR <= effective rank of variances <= erank <= rank.

RankMe (Garrido et al. 2023, arXiv:2210.02885) is the uncentered form with 1e-7 added to each share.

Reference: Roy and Vetterli (2007), "The effective rank: a measure of effective dimensionality".
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Points, Scalar
from conescope.measures.spectrum import Spectrum, spectrum


def effective_rank(points: Points, *, center: bool = True) -> Scalar:
    """Return the effective rank, from 1 to min(n, d), or min(n - 1, d) when centered.

    Singular values that are zero to rounding have no share and no gradient (which would be infinite).
    Without a positive one (no point; centered coincident points) it is nan.

    >>> effective_rank(torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))  # shares 2/3, 1/3
    tensor(1.8899)
    """
    return effective_rank_from_spectrum(spectrum(points, center=center)).to(points.dtype)


def effective_rank_from_spectrum(spectrum: Spectrum) -> Scalar:
    """Return `effective_rank` of any points with this spectrum."""
    positive = spectrum.squares > 0
    lengths = torch.where(positive, torch.where(positive, spectrum.squares, 1).sqrt(), 0)
    return _smooth_count(lengths)


def effective_rank_of_variances(points: Points, *, center: bool = True) -> Scalar:
    """Return the effective rank of variance shares, from 1 to min(n, d), or min(n - 1, d) when centered.

    Directions that are zero to rounding have no share and no gradient. Without a positive one it is nan.

    >>> effective_rank_of_variances(torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    tensor(1.6494)
    """
    return effective_rank_of_variances_from_spectrum(spectrum(points, center=center)).to(points.dtype)


def effective_rank_of_variances_from_spectrum(spectrum: Spectrum) -> Scalar:
    """Return `effective_rank_of_variances` of any points with this spectrum."""
    return _smooth_count(spectrum.squares)


def _smooth_count(sizes: Float[Tensor, " k"]) -> Scalar:
    """Return the exponential of the entropy of sizes, none negative."""
    positive = sizes > 0
    shares = torch.where(positive, sizes / torch.where(positive.any(), sizes.sum(), 1), 1)  # 1 ln 1 = 0
    rank = torch.exp(-(shares * shares.log()).sum())
    return torch.where(positive.any(), rank, math.nan)
