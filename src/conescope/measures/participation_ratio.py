"""Participation ratio: how many directions hold the variance, counted by its squares.

With the eigenvalues lam_i of the covariance C,

    PR = (sum_i lam_i)^2 / sum_i lam_i^2 = (tr C)^2 / tr(C^2).

It is 1 for a line and r for r equally strong directions, and never exceeds min(n - 1, d). It is 1 over the
sum of squared variance shares, so strong directions decide it: a tail of weak ones hardly counts. It is
centered by its definition, needs no eigendecomposition, and is unchanged by translation, rotation and
scaling.

Relations: IsoScore = (PR - 1) / (d - 1). PR is the exponential of the Renyi entropy of order 2 of the shares,
of which `effective_rank_of_variances` is order 1 and `stable_rank` order infinity: stable rank <= PR <=
effective rank of variances <= effective rank.

Reference: Gao, Trautmann, Yu, Santhanam, Ryu, Shenoy, Ganguli (2017), "A theory of multineuronal
dimensionality, dynamics and measurement".
"""

from conescope._types import Points, Scalar
from conescope.measures.centering import centered
from conescope.measures.spectrum import Spectrum


def participation_ratio(points: Points) -> Scalar:
    """Return the participation ratio of the variances, from 1 (a line) to min(n - 1, d).

    Without two points that differ it is nan. The cost is that of one product n d min(n, d).

    >>> import torch
    >>> participation_ratio(torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))  # 5^2 / 17
    tensor(1.4706)
    """
    rows = centered(points)
    n, d = rows.shape
    scatter = rows.T @ rows if d <= n else rows @ rows.T  # the same trace, and the same trace of the square
    return _participation(scatter.trace(), scatter.square().sum()).to(points.dtype)


def participation_ratio_from_spectrum(spectrum: Spectrum) -> Scalar:
    """Return `participation_ratio` of any points with this spectrum."""
    return _participation(spectrum.squares.sum(), spectrum.squares.square().sum())


def _participation(trace: Scalar, trace_of_square: Scalar) -> Scalar:
    return trace.square() / trace_of_square
