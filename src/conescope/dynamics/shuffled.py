"""The shuffled null: the energy that is left when every gradient meets the input of another position.

For G = sum_i g_i x_i^T over N positions and a random permutation pi, G_pi = sum_i g_pi(i) x_i^T has

    E || G_pi Q ||^2 = (a - c) || X Q ||^2 + c | Q^T s |^2,    s = sum_i x_i,
    a = mean_i |g_i|^2,    c = (| sum_i g_i |^2 - sum_i |g_i|^2) / (N (N - 1)),

and || G_pi ||^2 the same with Q = I. So the null keeps the inputs, the gradients, and what their means share,
and forgets which belonged together. `shuffled_energy` is the ratio of the two expectations: five sums over
the positions, which add up over micro-batches; it differs from the mean of `shuffled_energies` in the order
of 1 / (number of rows and positions that matter).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Scalar
from conescope.dynamics.energy import energy
from conescope.dynamics.frames import generator_for


class ShuffleSums(NamedTuple):
    """What the null needs of inputs x and gradients g, float64; parts of a step add."""

    positions: int
    gradient_sum: Float[Tensor, " o"]
    gradient_square: Scalar  # sum of |g|^2
    input_sum: Float[Tensor, " d"]
    input_square: Scalar  # sum of |x|^2
    inside_square: Scalar  # sum of |Q^T x|^2

    def plus(self, other: "ShuffleSums") -> "ShuffleSums":
        """Return the sums over the positions of both."""
        return ShuffleSums(
            self.positions + other.positions,
            self.gradient_sum + other.gradient_sum,
            self.gradient_square + other.gradient_square,
            self.input_sum + other.input_sum,
            self.input_square + other.input_square,
            self.inside_square + other.inside_square,
        )


def shuffle_sums(
    inputs: Float[Tensor, "n d"], gradients: Float[Tensor, "n o"], basis: Float[Tensor, "d k"]
) -> ShuffleSums:
    """Return the sums over these positions."""
    return ShuffleSums(
        len(inputs),
        gradients.sum(dim=0).double(),
        _square(gradients),
        inputs.sum(dim=0).double(),
        _square(inputs),
        _square(inputs @ basis.to(inputs.dtype)),
    )


def _square(rows: Float[Tensor, "n d"]) -> Scalar:
    """Return the sum of squares: of a row in the type it has, over rows in float64."""
    total: Scalar = torch.linalg.vector_norm(rows, dim=1).double().square().sum()
    return total


def shuffled_energy_from_sums(sums: ShuffleSums, basis: Float[Tensor, "d k"]) -> Scalar:
    """Return `shuffled_energy` of any positions with these sums."""
    pairs = max(sums.positions * (sums.positions - 1), 1)  # of one position there is one order, and no pair
    across = (sums.gradient_sum.square().sum() - sums.gradient_square) / pairs
    alone = sums.gradient_square / sums.positions - across
    common = (sums.input_sum @ basis.double()).square().sum()
    inside = alone * sums.inside_square + across * common
    return inside / (alone * sums.input_square + across * sums.input_sum.square().sum())


def shuffled_energy(
    inputs: Float[Tensor, "n d"], gradients: Float[Tensor, "n o"], basis: Float[Tensor, "d k"]
) -> Scalar:
    """Return the expected energy in a basis after shuffling, in [0, 1]; nan if G is zero in any order.

    Args:
        inputs: x, one position a row.
        gradients: of the loss by y = W x, the same positions.
        basis: orthonormal.
    """
    wide = inputs.double(), gradients.double()
    return shuffled_energy_from_sums(shuffle_sums(*wide, basis.double()), basis).to(inputs.dtype)


def shuffled_energies(
    inputs: Float[Tensor, "n d"],
    gradients: Float[Tensor, "n o"],
    basis: Float[Tensor, "d k"],
    *,
    draws: int = 20,
    seed: int = 0,
) -> Float[Tensor, " draws"]:
    """Return the energies after random permutations: the same null by draws, each as dear as the gradient."""
    generator = generator_for(seed, torch.device("cpu"))
    found = []
    for _ in range(draws):
        order = torch.randperm(len(gradients), generator=generator).to(gradients.device)
        found.append(energy(gradients[order].T @ inputs, basis))
    return torch.stack(found)
