"""The tangent proxy: the principal directions of the inputs of a linear map, fitted once and frozen.

The rank k is the smallest that explains 90 % of the centered variance, at most d / 8. Beside the k first
directions of the centered inputs stand those numbered k + 1 to 2 k, and the k first of the uncentered ones,
which hold the mean.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Covariance, Spectrum
from conescope.dynamics.energy import check_rank
from conescope.dynamics.streamed import Streamed
from conescope.scale import Moments

EXPLAINED = 0.9
CAP = 8  # k <= d / 8
Rank = int | Literal["auto"]
Kind = Literal["pca", "windowed", "concepts"]


class Proxy(NamedTuple):
    """Orthonormal directions of the inputs of one linear map, in float64."""

    tangent: Float[Tensor, "d k"]
    following: Float[Tensor, "d k"]
    uncentered: Float[Tensor, "d k"]
    explained: float  # share of the centered variance in the tangent directions
    points: int

    def on(self, device: torch.device) -> "Proxy":
        """Return the proxy with its directions on a device."""
        tangent, following, uncentered = self.tangent, self.following, self.uncentered
        return self._replace(
            tangent=tangent.to(device), following=following.to(device), uncentered=uncentered.to(device)
        )


def fit_proxy(moments: Moments | Streamed, rank: Rank = "auto") -> Proxy:
    """Return the proxy of points with these moments (of order 2).

    Raises:
        ValueError: for an explicit rank with 2 k > d, points that all coincide, or moments of order 1.
    """
    if moments.scatter is None:
        raise ValueError("a proxy needs moments of order 2")
    size = float(moments.scatter.trace())
    if not size > 0:
        raise ValueError("inputs that all coincide have no directions; look at another module")
    values, directions = principal(moments.scatter)
    k = automatic_rank(values) if rank == "auto" else rank
    check_rank(k, len(moments.mean))
    return Proxy(
        tangent=directions[:, :k],
        following=directions[:, k : 2 * k],
        uncentered=_uncentered(moments, k),
        explained=float(values[:k].sum()) / size,
        points=moments.n,
    )


def beside_tangent(tangent: Float[Tensor, "d k"], moments: Moments) -> Proxy:
    """Return the proxy of other tangent directions: those that follow are principal in what they leave.

    For the principal directions themselves this is `fit_proxy`.
    """
    assert moments.scatter is not None  # of order 2
    inside = tangent @ (tangent.T @ moments.scatter)
    left = moments.scatter - inside - inside.T + inside @ tangent @ tangent.T
    size = float(moments.scatter.trace())
    apart = left - size * tangent @ tangent.T  # so that no direction of theirs is among the largest
    k = tangent.shape[1]
    return Proxy(
        tangent=tangent,
        following=torch.linalg.eigh(apart).eigenvectors.flip(1)[:, :k],
        uncentered=_uncentered(moments, k),
        explained=1 - float(left.trace()) / size,
        points=moments.n,
    )


def automatic_rank(spectrum: Spectrum) -> int:
    """Return the smallest rank that explains 90 % of a spectrum, at most d / 8 and at least 1."""
    shares = (spectrum / spectrum.sum()).cumsum(dim=0)
    enough = int((shares < EXPLAINED).sum()) + 1
    return min(enough, max(len(spectrum) // CAP, 1))


def principal(scatter: Covariance) -> tuple[Spectrum, Covariance]:
    """Return variances and principal directions, as columns, the largest first."""
    values, vectors = torch.linalg.eigh(scatter)
    return values.flip(0).clamp(min=0), vectors.flip(1)


def _uncentered(moments: Moments | Streamed, k: int) -> Float[Tensor, "d k"]:
    assert moments.scatter is not None  # of order 2
    return principal(moments.scatter + moments.n * torch.outer(moments.mean, moments.mean))[1][:, :k]
