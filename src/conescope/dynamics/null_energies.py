"""Energies of one gradient in all random frames at once, and how even its rows are without such a frame.

With the centered rows C of G, their mean m and o rows, || G R ||^2 = || C R ||^2 + o |m^T R|^2, and what
`anisotropy_share` needs of a frame R are || C R ||^2, || R^T C^T C R ||^2 and || C^T C R ||^2.

Energies are drawn, since p counts them. If G has fewer rows than the complement of Q dimensions, there is a
triangular L with L L^T = S (I - Q Q^T) S^T for S = [C; sqrt(o) m^T], and S R = L H with a block H of a Haar
frame (see `null_frames`), so that no frame of d dimensions is made. Otherwise all comes from the product of
C^T C and R.

How even the rows are is told for the expected squares of a frame normal to Q. Its projector P, of rank k in
the m = d - k dimensions that Q leaves, has E P_ij P_kl = a d_ij d_kl + c (d_ik d_jl + d_il d_jk) with

    c = k (m - k) / (m (m - 1) (m + 2)),    a = k^2 / m^2 - 2 c / m,

which follows from tr P = tr P^2 = k. So with B, the scatter C^T C within the complement,

    E || C R ||^2 = k / m tr B,    E || R^T C^T C R ||^2 = (a + c) tr B^2 + c (tr B)^2.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Covariance, Scalar
from conescope.dynamics.anisotropy_share import isoscore_star_of
from conescope.dynamics.null_frames import NullFrames, beside

AT_ONCE = 1 << 23  # numbers of the frames that are held at a time
RIDGE = 1e-15  # of the trace, so that a singular L L^T has a factor


class NullEnergies(NamedTuple):
    """Energies in frames normal to the basis, and IsoScore* of the rows without such a frame."""

    normals: Float[Tensor, " draws"]
    evenness: Scalar


class Squares(NamedTuple):
    """What a frame R takes: || G R ||^2, || C R ||^2, || C^T C R ||^2 and || R^T C^T C R ||^2."""

    whole: Float[Tensor, " draws"]
    centered: Float[Tensor, " draws"]
    product: Float[Tensor, " draws"]
    inner: Float[Tensor, " draws"]


def null_energies(form: "Few | Many", frames: NullFrames) -> NullEnergies:
    """Return the energies and scores in random frames of the rank of the basis that the form holds."""
    d, k = form.basis.shape
    held = max(AT_ONCE // ((form.rows if isinstance(form, Few) else d) * k), 1)
    normals = []
    for first in range(0, frames.draws, held):
        draws = range(first, min(first + held, frames.draws))
        if isinstance(form, Few):
            found = form.wholes(frames.block(d - k, k, form.rows, draws, form.basis.device))
        else:
            found = form.wholes(beside(frames.block(d, k, d, draws, form.basis.device), form.basis))
        normals.append(found / form.total)
    return NullEnergies(torch.cat(normals).clamp(0, 1), evenness_without(form, expected_squares(form))[0])


def expected_squares(form: "Few | Many") -> Squares:
    """Return the expectations of the squares of a frame normal to the basis."""
    d, k = form.basis.shape
    m = d - k
    inside = form.tangent()
    trace, square = form.trace - inside.centered, form.square - 2 * inside.product + inside.inner
    c = k * (m - k) / (m * (m - 1) * (m + 2)) if m > 1 else 0.0
    a = k * k / (m * m) - 2 * c / m
    return Squares(
        whole=k / m * (form.total - inside.whole),
        centered=k / m * trace,
        product=k / m * (form.square - inside.product),
        inner=(a + c) * square + c * trace.square(),
    )


def form_of(gradient: Float[Tensor, "o d"], basis: Float[Tensor, "d k"]) -> "Few | Many":
    """Return what is kept of a gradient, whose squares must neither over- nor underflow."""
    d, k = basis.shape
    return Few(gradient, basis) if len(gradient) + 1 <= d - k else Many(gradient, basis)


def evenness_without(form: "Few | Many", taken: Squares) -> Float[Tensor, " draws"]:
    """Return IsoScore* of the rows without frames that take these squares."""
    trace, square = form.trace - taken.centered, form.square - 2 * taken.product + taken.inner
    both = zip(trace / form.trace, square / form.trace.square(), strict=True)
    return torch.stack([isoscore_star_of(one, other, len(form.basis)) for one, other in both])


class Few:
    """A gradient of fewer rows than the complement has dimensions, by products of its rows."""

    def __init__(self, gradient: Float[Tensor, "o d"], basis: Float[Tensor, "d k"]) -> None:
        self.basis, self.rows = basis, len(gradient) + 1
        rows = stacked(gradient.double())
        self.inside = rows @ basis
        products = rows @ rows.T
        self.total = products.trace()
        self.within = products[:-1, :-1]  # the last row is that of the mean
        self.trace, self.square = self.within.trace(), self.within.square().sum()
        self.root = square_root(products - self.inside @ self.inside.T, RIDGE * float(self.total))

    def tangent(self) -> Squares:
        """Return the squares of the basis."""
        images = self.inside[None]
        centered = images[:, :-1]
        product = dotted(centered, self.within @ centered)
        return Squares(squared(images), squared(centered), product, squared(centered.mT @ centered))

    def wholes(self, blocks: Float[Tensor, "draws r k"]) -> Float[Tensor, " draws"]:
        """Return || G R ||^2 of normal frames with these blocks."""
        return squared(self.root.to(blocks.dtype) @ blocks)


class Many:
    """A gradient of as many rows or more, by their scatter."""

    def __init__(self, gradient: Float[Tensor, "o d"], basis: Float[Tensor, "d k"]) -> None:
        self.basis = basis
        rows = stacked(gradient.double())
        self.scatter, self.mean = rows[:-1].T @ rows[:-1], rows[-1]
        self.trace, self.square = self.scatter.trace(), self.scatter.square().sum()
        self.total = self.trace + self.mean.square().sum()

    def tangent(self) -> Squares:
        """Return the squares of the basis."""
        return self.squares(self.basis[None])

    def squares(self, frames: Float[Tensor, "draws d k"]) -> Squares:
        """Return the squares of these frames."""
        images = self.scatter.to(frames.dtype) @ frames
        centered = dotted(frames, images)
        along = squared((self.mean.to(frames.dtype) @ frames)[:, None])
        return Squares(centered + along, centered, squared(images), squared(frames.mT @ images))

    def wholes(self, frames: Float[Tensor, "draws d k"]) -> Float[Tensor, " draws"]:
        """Return || G R ||^2 of these frames."""
        images = self.scatter.to(frames.dtype) @ frames
        return dotted(frames, images) + squared((self.mean.to(frames.dtype) @ frames)[:, None])


def stacked(gradient: Float[Tensor, "o d"]) -> Float[Tensor, "rows d"]:
    """Return the centered rows, and their mean times the root of their number: rows of the same G^T G."""
    mean = gradient.mean(dim=0, keepdim=True)
    return torch.cat([gradient - mean, mean * len(gradient) ** 0.5])


def square_root(products: Covariance, ridge: float) -> Covariance:
    """Return a factor L of a positive semidefinite L L^T, lower triangular where there is one.

    Its rows but the last have the products of the rows but the last, in either case.
    """
    lower: Tensor
    lower, failed = torch.linalg.cholesky_ex(products + ridge * torch.eye(len(products)).to(products))
    if not int(failed):
        return lower
    values, vectors = torch.linalg.eigh(products)
    root: Tensor = vectors * values.clamp(min=0).sqrt()
    return root


def squared(matrices: Float[Tensor, "draws a b"]) -> Float[Tensor, " draws"]:
    """Return squared norms: of columns in the type they have, their sum in float64."""
    lengths: Tensor = torch.linalg.vector_norm(matrices, dim=1)
    return lengths.double().square().sum(dim=1)


def dotted(one: Float[Tensor, "draws a b"], other: Float[Tensor, "draws a b"]) -> Float[Tensor, " draws"]:
    """Return the sums of products of entries, those over rows in float64."""
    return (one * other).sum(dim=2).sum(dim=1, dtype=torch.float64)
