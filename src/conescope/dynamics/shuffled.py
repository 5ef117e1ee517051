"""The shuffled null: the energy that is left when every gradient meets the input of another position.

For G = sum_i g_i x_i^T over N positions and a random permutation pi, G_pi = sum_i g_pi(i) x_i^T has

    E || G_pi Q ||^2 = (a - c) || X Q ||^2 + c | Q^T s |^2,    s = sum_i x_i,
    a = mean_i |g_i|^2,    c = (| sum_i g_i |^2 - sum_i |g_i|^2) / (N (N - 1)),

and || G_pi ||^2 the same with Q = I. So the null keeps the inputs, the gradients, and what their means share,
and forgets which belonged together. `shuffled_energy` is the ratio of the two expectations: five sums over
the positions, which add up over micro-batches; it differs from the mean of `shuffled_energies` in the order
of 1 / (number of rows and positions that matter).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from conescope._types import Scalar
from conescope.dynamics.energy import energy
from conescope.dynamics.frames import generator_for


def shuffled_rows(
    gradients: Float[Tensor, "n o"],
    real: Bool[Tensor, " n"] | None = None,
    *,
    generator: torch.Generator,
) -> Float[Tensor, "n o"]:
    """Return the rows in a random order; those that are no real positions stay where they are.

    The generator is on the device of the rows.
    """
    device = gradients.device
    if real is None:
        return gradients[torch.randperm(len(gradients), generator=generator, device=device)]
    places = real.nonzero()[:, 0]
    source = torch.arange(len(gradients), device=device)
    source[places] = places[torch.randperm(len(places), generator=generator, device=device)]
    return gradients[source]


def shuffled_energy(
    inputs: Float[Tensor, "n d"], gradients: Float[Tensor, "n o"], basis: Float[Tensor, "d k"]
) -> Scalar:
    """Return the expected energy in a basis after shuffling, in [0, 1]; nan if G is zero in any order.

    Args:
        inputs: x, one position a row.
        gradients: of the loss by y = W x, the same positions.
        basis: orthonormal.
    """
    x, g, q = inputs.double(), gradients.double(), basis.double()
    positions = len(x)
    square, total = g.square().sum(), g.sum(dim=0).square().sum()
    pairs = max(positions * (positions - 1), 1)  # of one position there is one order, and no pair
    across = (total - square) / pairs
    alone = square / positions - across
    common = x.sum(dim=0)
    inside = alone * (x @ q).square().sum() + across * (common @ q).square().sum()
    return (inside / (alone * x.square().sum() + across * common.square().sum())).to(inputs.dtype)


def shuffled_energies(
    inputs: Float[Tensor, "n d"],
    gradients: Float[Tensor, "n o"],
    basis: Float[Tensor, "d k"],
    *,
    draws: int = 20,
    seed: int = 0,
) -> Float[Tensor, " draws"]:
    """Return the energies after random permutations: the same null by draws, each as dear as the gradient."""
    generator = generator_for(seed, gradients.device)
    drawn = [shuffled_rows(gradients, generator=generator).T @ inputs for _ in range(draws)]
    return torch.stack([energy(gradient, basis) for gradient in drawn])
