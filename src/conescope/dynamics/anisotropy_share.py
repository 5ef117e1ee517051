"""How much of the anisotropy of a gradient sits in a subspace: IsoScore* with and without it, at equal rank.

With the rows of G as points and P = I - Q Q^T,

    share(Q) = IsoScore*(G P) - IsoScore*(G),    delta = share(Q_T) - mean_b share(Q_N^(b)).

Projecting out k directions leaves k without variance, so IsoScore is at most (d - k - 1) / (d - 1) whatever
the gradient: only shares of the same k compare, as Q_T and its normal frames do. delta > 0: taking out the
tangent directions makes the rows more even than taking out as many others does. It needs two traces:

    tr C_P = tr C - tr(Q^T C Q),    tr C_P^2 = tr C^2 - 2 || C Q ||^2 + || Q^T C Q ||^2.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._closed_forms import isoscore_from_traces
from conescope._types import Covariance, Scalar
from conescope.dynamics.energy import check_basis
from conescope.dynamics.frames import generator_for, normal_frames
from conescope.measures.isoscore_star import ZETA


class AnisotropyShare(NamedTuple):
    """IsoScore* of the rows, without the basis, without each normal frame, and the difference that counts."""

    whole: Scalar
    without: Scalar
    normals: Float[Tensor, " draws"]
    delta: Scalar


def anisotropy_share(
    gradient: Float[Tensor, "o d"],
    basis: Float[Tensor, "d k"],
    *,
    draws: int = 20,
    seed: int = 0,
    zeta: float = ZETA,
) -> AnisotropyShare:
    """Return what taking a basis out of a gradient does to the IsoScore* of its rows, beside random frames.

    Rows that coincide have no anisotropy: nan.

    Raises:
        ValueError: if 2 k > d, or the basis is not orthonormal or does not fit.
    """
    check_basis(basis, gradient.shape[1])
    frames = normal_frames(basis, draws, generator=generator_for(seed, gradient.device))
    found = anisotropy_share_from_scatter(row_scatter(gradient.double()), basis.double(), frames, zeta=zeta)
    return AnisotropyShare(*(value.to(gradient.dtype) for value in found))


def anisotropy_share_from_scatter(
    scatter: Covariance,
    basis: Float[Tensor, "d k"],
    frames: Float[Tensor, "draws d k"],
    *,
    zeta: float = ZETA,
) -> AnisotropyShare:
    """Return `anisotropy_share` of any gradient whose centered rows have this scatter, for these frames."""
    whole = isoscore_star_without(scatter, basis[:, :0], zeta=zeta)
    without = isoscore_star_without(scatter, basis, zeta=zeta)
    normals = torch.stack([isoscore_star_without(scatter, frame, zeta=zeta) for frame in frames])
    return AnisotropyShare(whole, without, normals, without - normals.mean())


def isoscore_star_without(scatter: Covariance, basis: Float[Tensor, "d k"], *, zeta: float = ZETA) -> Scalar:
    """Return IsoScore* of rows with this scatter, after the directions of the basis are taken out of them."""
    unit = scatter.trace()
    square = scatter / unit
    product = square @ basis
    inner = basis.mT @ product
    trace = 1 - inner.trace() + 0 * unit
    of_square = square.square().sum() - 2 * product.square().sum() + inner.square().sum()
    return isoscore_star_of(trace, of_square, len(scatter), zeta=zeta)


def isoscore_star_of(trace: Scalar, square: Scalar, d: int, *, zeta: float = ZETA) -> Scalar:
    """Return IsoScore* of d dimensions whose scatter C has this tr C and tr C^2."""
    kept = (1 - zeta) ** 2  # C* = (1 - zeta) C + zeta (tr C / d) I has the trace of C
    return isoscore_from_traces(trace, kept * square + (1 - kept) * trace.square() / d, d)


def row_scatter(gradient: Float[Tensor, "o d"]) -> Covariance:
    """Return the scatter of the rows about their mean."""
    rows = gradient - gradient.mean(dim=0)
    return rows.T @ rows


def isoscore_star_ceiling(d: int, k: int, *, zeta: float = ZETA) -> float:
    """Return the largest IsoScore* of d dimensions with k empty: (d - k - 1) / (d - 1) for zeta = 0."""
    kept = (1 - zeta) ** 2
    participation = 1 / (kept / (d - k) + (1 - kept) / d)
    return (participation - 1) / (d - 1)
