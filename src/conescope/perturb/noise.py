"""Noise for one weight, and the mix of the two."""

import hashlib
from typing import Literal, TypeAlias, get_args

import torch
from jaxtyping import Float
from torch import Tensor

Noise: TypeAlias = Literal["unit", "matched"]
NOISES: tuple[str, ...] = get_args(Noise)


def noise_for(name: str, weight: Float[Tensor, "*shape"], seed: int, kind: Noise) -> Float[Tensor, "*shape"]:
    """Return the noise of a weight, in float32 on its device: the same for a name and a seed everywhere.

    It is drawn on the CPU from (seed, name) alone, so that neither the order of the weights, nor which others
    get noise, nor the device or type changes it.

    Args:
        name: of the weight.
        weight: of any shape.
        seed: any integer.
        kind: "unit" has standard deviation 1; "matched" that of the numbers of the weight about their mean,
            0 where all are the same.
    """
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest) >> 1)  # it takes 63 bits
    noise = torch.randn(weight.shape, generator=generator).to(weight.device)
    return noise if kind == "unit" else noise * spread_of(weight).to(noise.dtype)


def spread_of(weight: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Return the standard deviation of the numbers of a weight about their mean, in float64."""
    return weight.detach().double().std(correction=0)


def mixed(
    weight: Float[Tensor, "*shape"], noise: Float[Tensor, "*shape"], percent: int | float
) -> Float[Tensor, "*shape"]:
    """Return (1 - a/100) W + (a/100) Z in the type of W, computed in float32 at least.

    The ends are exact: a = 0 gives the bits of W, and a = 100 those of Z, even where W is not finite.

    >>> mixed(torch.tensor([1.0, 2.0]), torch.tensor([-1.0, 0.0]), 25)
    tensor([0.5000, 1.5000])
    """
    if percent == 0:
        return weight.detach().clone()  # the sum would turn -0 into 0
    if percent == 100:
        return noise.to(weight.dtype)
    share, wide = percent / 100, torch.promote_types(weight.dtype, torch.float32)
    return ((1 - share) * weight.detach().to(wide) + share * noise.to(wide)).to(weight.dtype)
