"""Energy: the share of a matrix that lies in a subspace of its columns' space.

With G of shape (o, d), such as the gradient of a weight, and an orthonormal basis Q of shape (d, k),

    energy = || G Q ||_F^2 / || G ||_F^2    in [0, 1].

1 if all rows of G lie in the subspace (as they do for Q = I), 0 if all are normal to it; the energies of a
subspace and of its complement add to 1, and a random subspace has k / d on average. G -> c G, and G -> U G
with orthogonal U, change nothing. With the inputs X of a linear map as rows it is the share of their
uncentered variance: the same formula, and a gradient, a sum of inputs, has energy where they have variance.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Covariance

FRAME_ERROR = 1e-3  # of the products of columns; float32 bases of any size stay below


def energy(gradient: Float[Tensor, "o d"], basis: Float[Tensor, "*draws d k"]) -> Float[Tensor, "*draws"]:
    """Return the energy of a gradient in a subspace, or in each of several; nan for a gradient of zeros.

    Args:
        gradient: of shape (o, d), or points of shape (n, d).
        basis: with orthonormal columns (`check_basis` tells).

    >>> energy(torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0], [0.0]]))  # 9 / 25
    tensor(0.3600)
    """
    wide = gradient.double()
    inside = (wide @ basis.double()).square().sum(dim=(-2, -1))
    return (inside / wide.square().sum()).to(gradient.dtype)


def energy_from_gram(gram: Covariance, basis: Float[Tensor, "*draws d k"]) -> Float[Tensor, "*draws"]:
    """Return the energy of any G with this G^T G: tr(Q^T G^T G Q) / tr(G^T G)."""
    inside = (basis * (gram @ basis)).sum(dim=(-2, -1))
    return (inside / gram.trace()).clamp(0, 1)


def variance_share(
    inputs: Float[Tensor, "n d"], basis: Float[Tensor, "*draws d k"]
) -> Float[Tensor, "*draws"]:
    """Return the share of the uncentered variance of inputs in a subspace: || X Q ||^2 / || X ||^2."""
    return energy(inputs, basis)


def excess_ratio(energy: Float[Tensor, "*n"], variance_share: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return energy over variance share, in [0, 1 / share]: 1 is what gradients give that ignore the inputs.

    For G = sum_i g_i x_i^T with g independent of x, of mean zero, E || G Q ||^2 = E|g|^2 || X Q ||^2: the
    energy is about the variance share, and its ratio to normal directions is large for no other reason.
    """
    return energy / variance_share


def check_basis(basis: Tensor, d: int) -> None:
    """Raise ValueError unless these are k orthonormal columns in d dimensions, with 1 <= k and 2 k <= d."""
    if basis.ndim != 2 or len(basis) != d or basis.shape[1] < 1:
        raise ValueError(
            f"a basis has shape (d, k) with d = {d} as the gradient has, and k >= 1, got {tuple(basis.shape)}"
        )
    check_rank(basis.shape[1], d)
    wide = basis.detach().double()
    off = float((wide.T @ wide - torch.eye(wide.shape[1], device=wide.device)).abs().amax())
    if not off < FRAME_ERROR:
        raise ValueError(
            f"the columns of a basis must be orthonormal, but their products are off by {off:.2g}; "
            "use the Q of torch.linalg.qr(basis)"
        )


def check_rank(k: int, d: int) -> None:
    """Raise ValueError unless as many normal directions fit beside k tangent ones."""
    if k < 1 or 2 * k > d:
        raise ValueError(
            f"normal frames of the same rank must fit beside the tangent one, so 1 <= k and 2 k <= d, got "
            f"k = {k} and d = {d}; take k <= {d // 2}"
        )
