"""Gradient energy: is a weight gradient in the directions of the inputs more than in others?

    ratio = energy(Q_T) / mean_b energy(Q_N^(b)),    p = (1 + #{b : energy(Q_N^(b)) >= energy(Q_T)}) / (1 + B)

with B random frames Q_N of the same rank, normal to Q_T. A ratio of 1 means no preference; p is at least
1 / (B + 1). A large ratio alone shows nothing: a gradient of pure noise has one wherever the inputs vary more
in Q_T (`excess_ratio`, `shuffled_energy`).

Reference: Bernas, Jourdan, Poche and Hudelot (2026), arXiv:2604.08764; the equations are ours.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from conescope._types import Scalar
from conescope.dynamics.energy import check_basis, energy
from conescope.dynamics.frames import generator_for, normal_frames

DRAWS = 20


class GradientEnergy(NamedTuple):
    """The energy in the basis, in each normal frame, the ratio of the first to the mean of these, and p."""

    energy: Scalar
    normals: Float[Tensor, " draws"]
    ratio: Scalar
    p: Scalar


def gradient_energy(
    gradient: Float[Tensor, "o d"], basis: Float[Tensor, "d k"], *, draws: int = DRAWS, seed: int = 0
) -> GradientEnergy:
    """Return the energy of a gradient in a basis and in random frames of the same rank beside it.

    A gradient of zeros gives nan everywhere. Normals without any energy give an infinite ratio.

    Args:
        gradient: of shape (o, d).
        basis: of shape (d, k), orthonormal.
        draws: how many frames.
        seed: of the draws; the state of torch's own generator is left alone.

    Raises:
        ValueError: if 2 k > d, the basis is not orthonormal or does not fit, or draws < 1.
    """
    check_basis(basis, gradient.shape[1])
    if draws < 1:
        raise ValueError(f"at least one normal frame must be drawn, got draws = {draws}")
    frames = normal_frames(basis, draws, generator=generator_for(seed, gradient.device))
    return compared(energy(gradient, basis), energy(gradient, frames))


def compared(tangent: Scalar, normals: Float[Tensor, " draws"]) -> GradientEnergy:
    """Return ratio and p of an energy among those of normal frames."""
    p = (1 + (normals >= tangent).sum()) / (1 + len(normals))
    return GradientEnergy(tangent, normals, tangent / normals.mean(), (p + 0 * tangent).to(tangent.dtype))
