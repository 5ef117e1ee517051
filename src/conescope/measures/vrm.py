"""Vasicek ratio MSE (VRM): how far are the principal scores from those of a standard Gaussian?

The points are centered, turned into their principal directions and scaled so that their total variance
is d, that of a standard Gaussian. Each of the d columns of scores has a differential entropy H_j, estimated
from the spacings of its sorted values, and

    VRM = 1 / d sum_j (1 - r_j)^2,    r_j = exp(H_j) / sqrt(2 pi e),

where r_j is the standard deviation of the Gaussian with that entropy. It is near 0 for an isotropic Gaussian.
For a Gaussian with the variances lambda_j, r_j is sqrt(d lambda_j / sum lambda), and then

    VRM = 2 - 2 / d sum_j r_j,    from 0 (even) to 2 - 2 / sqrt(d) (one direction).

Other shapes have less entropy at the same variance, so they come out higher where r_j <= 1: VRM sees the
spectrum and, unlike measures of the spectrum alone, also clusters and heavy tails along its directions.

Three decisions. The authors scale to the total variance of a freshly drawn Gaussian sample, which makes the
value random: all r_j share a factor with a standard deviation of 1 / sqrt(2 n d). Here it is d exactly. They
round to four decimals; nothing is rounded here. And a direction without spread has r_j = 0 also where n < d,
so that all d directions count: a mean over the min(n, d) components of a PCA would give an isotropic cloud of
few points (sqrt(d / n) - 1)^2.

Reference: Marbut, McKinney-Bock and Wheeler (2023), "Reliable measures of spread in high dimensional latent
spaces", ICML, arXiv:2212.08172. The entropies: Vasicek (1976), van Es (1992), Ebrahimi et al. (1994).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Points, Scalar
from conescope.measures.centering import centered
from conescope.measures.spectrum import Spectrum, spectrum

FEWEST = 5  # points: with fewer, a window of spacings is wider than the sample
FEW, MANY = 10, 1000  # up to FEW points: van Es; up to MANY: Ebrahimi; then Vasicek
LARGEST_RATIO = 1.2  # of r_j to a standard deviation; n = 6 reaches most, 1.154, and a Gaussian tends to 1


def vrm(points: Points) -> Scalar:
    """Return the Vasicek ratio MSE: near 0 for an isotropic Gaussian, near 2 for a line in many dimensions.

    Fewer than five points, and coincident points, give nan. A column in which some window of sorted values
    is constant has entropy -inf and r_j = 0. Where principal variances are equal, their directions are a
    matter of rounding, and so is a part of the value; the gradient then holds them fixed.

    >>> generator = torch.Generator().manual_seed(0)
    >>> gaussian = torch.randn(2000, 4, generator=generator)
    >>> vrm(gaussian) < 0.003
    tensor(True)
    >>> vrm(gaussian * torch.tensor([1, 1, 1, 0]))  # 2 - 2 sqrt(3 / 4) = 0.2679
    tensor(0.27...)
    """
    return (1 - _ratios(points)).square().mean().to(points.dtype)


def vasicek_ratios(points: Points) -> Float[Tensor, " d"]:
    """Return the ratios r_j whose mean squared distance from 1 is `vrm`, of the strongest direction first."""
    return _ratios(points).to(points.dtype)


def _ratios(points: Points) -> Float[Tensor, " d"]:
    rows = centered(points)
    n, d = rows.shape
    size = rows.detach().square().sum()
    if n < FEWEST or size == 0:
        return rows.sum(dim=0) * math.nan
    scores = _principal_scores(rows / size.sqrt())
    unit = (d * (n - 1) / scores.square().sum()).sqrt()
    found = torch.exp(differential_entropy(scores * unit) - math.log(2 * math.pi * math.e) / 2)
    return torch.cat([found, found.new_zeros(d - len(found))])


def gaussian_vrm(points: Points) -> Scalar:
    """Return the VRM of a Gaussian with the spectrum of the points; the rest of `vrm` is shape.

    From 0 to 2 - 2 / sqrt(d); nan without spread.
    """
    return gaussian_vrm_from_spectrum(spectrum(points)).to(points.dtype)


def gaussian_vrm_from_spectrum(spectrum: Spectrum) -> Scalar:
    """Return `gaussian_vrm` of any points with this (centered) spectrum."""
    positive = spectrum.squares > 0
    lengths = torch.where(positive, torch.where(positive, spectrum.squares, 1).sqrt(), 0)
    norm = torch.linalg.vector_norm(torch.where(positive.any(), lengths, 1))
    return torch.where(positive.any(), 2 - 2 * lengths.sum() / (math.sqrt(spectrum.d) * norm), math.nan)


def greatest_vrm(d: int) -> float:
    """Return what VRM never exceeds, from r_j <= LARGEST_RATIO sqrt(d lambda_j / sum lambda)."""
    return 1 + max(LARGEST_RATIO**2 - 2 * LARGEST_RATIO / math.sqrt(d), 0.0)


def differential_entropy(columns: Float[Tensor, "n k"]) -> Float[Tensor, " k"]:
    """Return the entropy of each column in nats, estimated from m-spacings, m = floor(sqrt(n) + 1/2).

    With sorted values x_1 <= ... <= x_n, continued by x_1 and x_n beyond the ends:

        n <= 10:    mean_i ln((n + 1) / m (x_{i+m} - x_i)) + sum_{k=m}^n 1 / k + ln m - ln(n + 1)
        n <= 1000:  mean_i ln(n / (c_i m) (x_{i+m} - x_{i-m})), c_i = 2, less toward the ends
        n > 1000:   mean_i ln(n / (2 m) (x_{i+m} - x_{i-m}))

    (van Es, Ebrahimi, Vasicek), the same choice as `scipy.stats.differential_entropy`. A spacing of zero,
    to rounding, gives -inf, without gradient. At least five values are needed.
    """
    n = len(columns)
    m = math.floor(math.sqrt(n) + 0.5)
    ordered = columns.T.contiguous().sort(dim=1).values.T  # columns that lie in one piece sort faster
    rounding = 64 * torch.finfo(columns.dtype).eps * columns.detach().abs().amax(dim=0)
    if n <= FEW:
        correction = sum(1 / k for k in range(m, n + 1)) + math.log(m / (n + 1))
        return _mean_log((ordered[m:] - ordered[:-m]) * ((n + 1) / m), rounding) + correction
    position = torch.arange(n, device=columns.device)
    spacings = ordered[(position + m).clamp(max=n - 1)] - ordered[(position - m).clamp(min=0)]
    weights = torch.full((n,), 2.0, dtype=columns.dtype, device=columns.device)
    if n <= MANY:
        to_the_end = torch.minimum(position, n - 1 - position).to(columns.dtype)
        weights = 1 + (to_the_end / m).clamp(max=1)
    return _mean_log(spacings * (n / m) / weights[:, None], rounding)


def _mean_log(spacings: Float[Tensor, "i k"], rounding: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
    positive = spacings > rounding
    logs = torch.where(positive, spacings, 1).log().mean(dim=0)
    return torch.where(positive.all(dim=0), logs, -math.inf)


def _principal_scores(rows: Points) -> Float[Tensor, "n k"]:
    """Return the scores along the directions that hold spread, of centered rows of total square 1.

    Between two eigenvectors the gradient of an eigendecomposition holds the inverse gap of their eigenvalues,
    which is infinite for equal ones. So it is written out: a small change dA of the matrix turns vector j by
    sum_i v_i (v_i dA v_j) / (a_j - a_i), and pairs without a gap do not turn.
    """
    n, d = rows.shape
    gram = rows.T @ rows if d <= n else rows @ rows.T
    values, vectors = torch.linalg.eigh(gram.detach())
    resolution = max(n, d) * torch.finfo(torch.float64).eps * values[-1]
    values, vectors = values.flip(0), vectors.flip(1)
    holds = values > resolution
    if not gram.requires_grad:
        known: Float[Tensor, "n k"]
        known = rows @ vectors[:, holds] if d <= n else vectors[:, holds] * values[holds].sqrt()
        return known
    gaps = values[holds] - values[:, None]
    apart = gaps.abs() > resolution
    turn = torch.where(apart, 1 / torch.where(apart, gaps, 1), 0)
    change = vectors.T @ (gram - gram.detach()) @ vectors[:, holds]  # zero, with a gradient
    directions = vectors[:, holds] + vectors @ (change * turn)
    grown = values[holds] + change[holds].diagonal()
    scores: Float[Tensor, "n k"] = rows @ directions if d <= n else directions * grown.sqrt()
    return scores
