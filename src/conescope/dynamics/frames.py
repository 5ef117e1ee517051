"""Random frames: k orthonormal directions, all equally likely (Haar), in the space or beside another frame.

The Q of a QR factorization of a Gaussian matrix, with a positive diagonal of R, is Haar. Beside a frame Q_T
the Gaussian is projected first: (I - Q_T Q_T^T) Z is a Gaussian of the complement. R comes from the Cholesky
factor of the matrix of products, twice where rounding asks for it; that is many times faster on an
accelerator than Householder reflections.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from conescope.dynamics.energy import check_rank

SLIM = 4  # of so many times k dimensions a Gaussian has a condition number of about 3: one pass is exact


def random_frames(
    d: int,
    k: int,
    draws: int,
    *,
    generator: torch.Generator,
    beside: Float[Tensor, "d j"] | None = None,
) -> Float[Tensor, "draws d k"]:
    """Return random orthonormal frames in float64, on the device of the generator.

    Args:
        d: dimensions of the space.
        k: directions of each frame.
        draws: how many frames.
        generator: of the Gaussian numbers.
        beside: an orthonormal frame to which all are normal; None draws in the whole space.

    Raises:
        ValueError: if d dimensions, or those that `beside` leaves, are fewer than k.
    """
    room = d if beside is None else d - beside.shape[1]
    if not 1 <= k <= room:
        raise ValueError(f"a frame of rank k needs 1 <= k <= {room}, the dimensions there are, got k = {k}")
    frames = torch.randn(draws, d, k, dtype=torch.float64, device=generator.device, generator=generator)
    for _ in range(1 if room >= SLIM * k else 2):
        if beside is not None:
            known = beside.to(frames)
            frames = frames - known @ (known.T @ frames)
        lower = torch.linalg.cholesky(frames.mT @ frames)
        frames = torch.linalg.solve_triangular(lower, frames.mT, upper=False).mT
    return frames


def normal_frames(
    basis: Float[Tensor, "d k"], draws: int, *, generator: torch.Generator
) -> Float[Tensor, "draws d k"]:
    """Return random frames of the rank of a basis, in its complement.

    Raises:
        ValueError: if 2 k > d: the complement has no k directions.
    """
    d, k = basis.shape
    check_rank(k, d)
    return random_frames(d, k, draws, generator=generator, beside=basis)


def generator_for(seed: int, device: torch.device) -> torch.Generator:
    """Return a generator of its own, so that no draw changes a training run."""
    return torch.Generator(device).manual_seed(seed % 2**63)
