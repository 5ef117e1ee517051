"""Stable rank: how many directions as strong as the strongest one would hold the same spread.

With the singular values sigma_1 >= sigma_2 >= ... of the matrix X whose rows are the points,

    stable rank = |X|_F^2 / |X|_2^2 = sum_i sigma_i^2 / sigma_1^2.

It is 1 for a line, r for r equally strong directions, and never exceeds the rank. Weak directions can not
change it by more than their spread, hence the name. Unchanged by rotation and scaling, and, centered, by
translation.

Relations: it is 1 / anisotropy_1, the same knowledge read as a count; and it never exceeds the participation
ratio.

Reference: Rudelson and Vershynin (2007), "Sampling from large matrices: an approach through geometric
functional analysis", who call it numerical rank.
"""

from conescope._types import Points, Scalar
from conescope.measures.anisotropy import anisotropy_from_spectrum
from conescope.measures.spectrum import Spectrum, spectrum


def stable_rank(points: Points, *, center: bool = True) -> Scalar:
    """Return the stable rank, from 1 to min(n, d), or min(n - 1, d) when centered.

    Where there is no spread (no point; centered coincident points; uncentered zeros) it is nan. Where the
    two largest singular values are equal, the gradient is one of several.

    >>> import torch
    >>> stable_rank(torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))  # (8 + 2) / 8
    tensor(1.2500)
    """
    return stable_rank_from_spectrum(spectrum(points, center=center)).to(points.dtype)


def stable_rank_from_spectrum(spectrum: Spectrum) -> Scalar:
    """Return `stable_rank` of any points with this spectrum."""
    return 1 / anisotropy_from_spectrum(spectrum, k=1)
