"""Point clouds made ready for products: in float64, near the origin, and nothing rounded that was exact.

Squared distances from products, |x|^2 + |y|^2 - 2 x.y, lose what is small against |x|^2, so the mean goes
first. What is subtracted has few digits: integers and float32 numbers then keep all of theirs, and
distances that are equal stay equal.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from conescope._types import Clouds


def placed(clouds: Clouds, present: Bool[Tensor, "*batch n"]) -> Float[Tensor, "*batch n d"]:
    """Return the points of each cloud moved near its mean, in float64, detached; absent ones are zero.

    float64 points come in another unit, a power of two, in which no square leaves the range.
    """
    clouds = clouds.detach()
    if clouds.shape[-2] == 0:
        return clouds.double()
    inside = present[..., None]
    if clouds.dtype != torch.float64:  # 24 digits from 24 digits: 53 hold the difference
        kept = clouds.float().where(inside, 0)
        rows = kept - _mean(kept.sum(dim=-2, keepdim=True, dtype=torch.float64), inside).float().double()
        return rows.masked_fill_(~inside, 0)
    first = present.int().argmax(dim=-1)[..., None, None].expand(*clouds.shape[:-2], 1, clouds.shape[-1])
    rows = (clouds - clouds.gather(-2, first)).where(inside, 0)
    rows /= power_of_two(rows)
    rows -= _mean(rows.sum(dim=-2, keepdim=True), inside).bfloat16().double()
    return rows.masked_fill_(~inside, 0)


def power_of_two(clouds: Float[Tensor, "*batch n d"]) -> Float[Tensor, "*batch 1 1"]:
    """Return the largest power of two up to the greatest coordinate of each cloud; 1 where all are zero."""
    largest = clouds.abs().amax(dim=(-2, -1), keepdim=True)
    return torch.where(largest > 0, largest / (2 * torch.frexp(largest).mantissa), 1)


def _mean(total: Tensor, inside: Tensor) -> Tensor:
    return total / inside.sum(dim=-2, keepdim=True).clamp(min=1)


def product_roundoff(device: torch.device) -> float:
    """Return to which share torch may round the factors of a float32 product, by the user's settings."""
    if torch.get_float32_matmul_precision() == "highest":
        tensor_cores = device.type == "cuda" and torch.backends.cuda.matmul.allow_tf32
        return 2.0**-10 if tensor_cores else 2.0**-24
    return 2.0**-8
