"""The spectrum of a point cloud: what every measure of directions is computed from.

With the points as rows of a matrix, centered or not, its squared singular values sigma_1^2 >= sigma_2^2
>= ... are the eigenvalues of the scatter matrix: n - 1 times the variances along the principal directions
if centered. There are min(n, d) of them. Their unit is free: measures that read a spectrum use ratios
only.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Covariance, Points
from conescope.measures.centering import centered, in_double
from conescope.scale.moments import Moments


class Spectrum(NamedTuple):
    """Squared singular values of n points in d dimensions, largest first, zero where rounding hides them."""

    squares: Float[Tensor, " k"]  # k = min(n, d), float64
    n: int
    d: int


def spectrum(points: Points, *, center: bool = True) -> Spectrum:
    """Return the spectrum of the points, differentiable; the cost is n d min(n, d).

    A direction weaker than the strongest one by rounding (about 1e-13 in square) counts as empty.
    """
    rows = centered(points) if center else in_double(points)
    n, d = rows.shape
    gram = rows.T @ rows if d <= n else rows @ rows.T  # the same squares, fewer of them
    return _spectrum(gram, n, d, max(n, d) * torch.finfo(torch.float64).eps)


def spectrum_from_moments(moments: Moments, *, center: bool = True) -> Spectrum:
    """Return the spectrum of any points with these moments (of order 2)."""
    if moments.scatter is None:
        raise ValueError("a spectrum needs moments of order 2")
    scatter = moments.scatter
    if not center:
        scatter = scatter + moments.n * torch.outer(moments.mean, moments.mean)
    return _spectrum(scatter, moments.n, moments.d, moments.resolution)


def between_class_scatter(moments: Moments) -> Covariance:
    """Return the scatter of the class means about the mean, each counted as often as its class has points."""
    classes = moments.classes
    if classes is None:
        raise ValueError("this needs moments of classes: scan with labels")
    steps = (classes.means - moments.mean) * classes.counts.double().sqrt()[:, None]
    return steps.T @ steps


def within_class_spectrum(moments: Moments) -> Spectrum:
    """Return the spectrum of the points, each minus the mean of its class.

    It is what the classes leave of the whole, so directions weaker than the rounding of the whole are lost.
    """
    if moments.scatter is None:
        raise ValueError("a spectrum needs moments of order 2")
    within = moments.scatter - between_class_scatter(moments)
    size = within.detach().trace()
    rounding = moments.resolution * moments.scatter.detach().trace()
    visible = size > rounding
    share = torch.where(visible, rounding / torch.where(visible, size, 1), 0)
    return _spectrum(
        torch.where(visible, within, 0), moments.n, moments.d, max(moments.resolution, float(share))
    )


def _spectrum(scatter: Covariance, n: int, d: int, resolution: float) -> Spectrum:
    size = scatter.trace().detach()
    unit = torch.where(size > 0, size, 1)  # no fourth power over- or underflows
    squares = torch.linalg.eigvalsh(scatter / unit).flip(0)[: min(n, d)]
    return Spectrum(torch.where(squares > resolution * squares[:1], squares, 0), n, d)


def spectrum_length(n: int, d: int) -> int:
    """Return how many directions a centered cloud can have, and at least 1."""
    return max(min(n - 1, d), 1)
