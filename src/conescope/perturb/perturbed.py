"""Weight perturbation: how much of a model's behavior survives noise in its weights?

With a in percent, each weight W that is chosen becomes

    W <- (1 - a/100) W + (a/100) Z,    Z of independent normal numbers,

so that E w'^2 = (1 - a/100)^2 E w^2 + (a/100)^2 s^2, s the standard deviation of Z. As published s = 1,
against 0.02 to 0.04 for the weights themselves: at a = 3 the noise is as large as they are. With "matched"
noise s is the standard deviation of each weight.

Reference: Marbut, Chandler, Wheeler (2024), arXiv:2406.12159.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from conescope.perturb.noise import NOISES, Noise, mixed, noise_for
from conescope.perturb.weights import Parts, chosen_weights


@contextmanager
def perturbed(
    model: nn.Module,
    percent: int | float = 5,
    seed: int = 1,
    *,
    parts: Parts = "encoder weights",
    layer_norm: bool = True,
    noise: Noise = "unit",
) -> Iterator[nn.Module]:
    """Put noise into the weights of a model; when the block ends, also by an exception, they are as before.

    The model is changed in place, and its weights come back bit for bit from copies, which stay on their
    device for as long. What else changes in the block, such as biases in training, stays changed.

    Args:
        model: any module in which `chosen_weights` finds weights.
        percent: from 0, nothing changes, to 100, nothing of the weights is left.
        seed: of the noise. One seed has the same noise at every percentage and for every choice of weights.
        parts: which weights; see `chosen_weights`.
        layer_norm: whether weights of normalizations are among them, as published.
        noise: "unit", as published, or "matched": with the standard deviation of each weight. Weights of a
            normalization that are all the same then get none, and at 100 percent are 0.

    Raises:
        ValueError: for a percentage out of range, an unknown noise, or as `chosen_weights` does.

    >>> blocks = nn.Sequential(nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)]))
    >>> before = blocks[0][0].weight.clone()
    >>> with perturbed(blocks, percent=100, seed=3):
    ...     print(torch.equal(blocks[0][0].weight, before))
    False
    >>> torch.equal(blocks[0][0].weight, before)
    True
    """
    check_perturbing(percent, noise)
    weights = chosen_weights(model, parts, layer_norm=layer_norm)
    kept: dict[str, Tensor] = {}
    try:
        with torch.no_grad():
            for name, weight in weights.items():
                kept[name] = weight.detach().clone()
                weight.copy_(mixed(weight, noise_for(name, weight, seed, noise), percent))
        yield model
    finally:
        with torch.no_grad():
            for name, before in kept.items():
                weights[name].copy_(before)


def check_perturbing(percent: int | float, noise: str) -> None:
    """Raise ValueError unless these can be a percentage and a kind of noise."""
    if not 0 <= percent <= 100:
        raise ValueError(f"percent is the share of noise, from 0 to 100, got {percent}")
    if noise not in NOISES:
        raise ValueError(f"noise must be one of {', '.join(NOISES)}; got {noise!r}")
