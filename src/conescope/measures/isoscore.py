"""IsoScore: the share of the ambient dimensions that a point cloud uses evenly.

Rudman, Gillman, Rayne, Eickhoff (2022) define it in steps on the spectrum of the covariance C. In d
dimensions those steps amount to

    IsoScore = (PR - 1) / (d - 1),    PR = (tr C)^2 / tr(C^2),

where PR is the participation ratio, the effective number of dimensions. 1 means an isotropic
covariance, 0 a single line, (k - 1) / (d - 1) an even use of k dimensions. It is centered by its
definition, needs no eigendecomposition, and is unchanged by translation, rotation and scaling.
`tests/reference/isoscore.py` holds the paper's own steps.

It reads low on few points: n of an isotropic Gaussian give (n - 2) / (n + d), as
E (tr W)^2 = m d (m d + 2) and E tr(W^2) = m d (m + d + 1) for their scatter W, m = n - 1.

Reference: arXiv:2108.07344, Findings of ACL 2022.
"""

from conescope._closed_forms import isoscore_from_traces
from conescope._types import Covariance, Points, Scalar
from conescope.measures.centering import centered
from conescope.measures.spectrum import Spectrum


def isoscore(points: Points) -> Scalar:
    """Return the IsoScore of a point cloud, between 0 (one direction) and 1 (isotropic).

    Coincident points have no direction to compare, nor has a single dimension: nan. The cost is that
    of one product n d min(n, d): with fewer points than dimensions no d x d matrix is made.

    >>> import torch
    >>> isoscore(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    tensor(1.)
    """
    rows = centered(points)
    n, d = rows.shape
    scatter = rows.T @ rows if d <= n else rows @ rows.T  # the same trace, and the same trace of the square
    return isoscore_from_traces(scatter.trace(), scatter.square().sum(), d).to(points.dtype)


def isoscore_from_covariance(covariance: Covariance) -> Scalar:
    """Return the IsoScore of any cloud with this covariance (or a multiple of it).

    >>> import torch
    >>> isoscore_from_covariance(torch.diag(torch.tensor([1.0, 1.0, 0.0, 0.0])))
    tensor(0.3333)
    """
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
        raise ValueError(f"a covariance has shape (d, d), got {tuple(covariance.shape)}")
    wide = covariance.double()
    unit = wide.trace().detach()
    wide = wide / unit
    return isoscore_from_traces(wide.trace(), wide.square().sum(), len(wide)).to(covariance.dtype)


def isoscore_from_spectrum(spectrum: Spectrum) -> Scalar:
    """Return the IsoScore of any points with this spectrum."""
    return isoscore_from_traces(spectrum.squares.sum(), spectrum.squares.square().sum(), spectrum.d)
