"""Point clouds made ready for products: near the origin, of ordinary size, nothing rounded that was exact.

Squared distances from products, |x|^2 + |y|^2 - 2 x.y, lose what is small against |x|^2, so a point of the
cloud, or its mean, is subtracted first.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from conescope._types import Clouds, Points

ORDINARY = 1e15  # coordinates up to this, and down to its inverse, have float32 squares
SINGLE = 2.0**-24  # the unit roundoff of float32
VANISHED = 1e-37  # more than a float32 product or square loses where it is too small for the type


def placed(
    clouds: Clouds,
    present: Bool[Tensor, "*batch n"] | None = None,
    into: Float[Tensor, "*batch n d"] | None = None,
) -> Float[Tensor, "*batch n d"]:
    """Return the points of each cloud less the first of them, in float64, detached; absent points are zero.

    Differences of float32 numbers of about one size are exact in float64, so distances that are equal stay
    equal. float64 points come in another unit, a power of two, in which no square leaves the range, and less
    about their mean, taken with few digits. They are written `into` memory that may be used again, if it is
    given.
    """
    clouds = clouds.detach()
    if clouds.shape[-2] == 0:
        return clouds.double()
    if present is None:
        first = clouds[..., :1, :]
    else:
        at = present.int().argmax(dim=-1)[..., None, None]
        first = clouds.gather(-2, at.expand(*clouds.shape[:-2], 1, clouds.shape[-1]))
    # a difference of two number types would make a copy of the points besides the result
    into = torch.empty_like(clouds, dtype=torch.float64) if into is None else into
    rows = into.copy_(clouds).sub_(first)
    if present is not None:
        rows = rows.masked_fill_(~present[..., None], 0)
    if clouds.dtype == torch.float64:
        rows /= power_of_two(rows)
        count = rows.shape[-2] if present is None else present.sum(dim=-1).clamp(min=1)[..., None, None]
        rows -= (rows.sum(dim=-2, keepdim=True) / count).bfloat16().double()
        if present is not None:
            rows.masked_fill_(~present[..., None], 0)
    return rows


def centered_single(points: Points) -> Float[Tensor, "n d"]:
    """Return the points less about their mean in float32, detached; in another unit if they are extreme."""
    points = ordinary(points.detach())
    return (points - points.mean(dim=0)).float()


def ordinary(points: Points) -> Points:
    """Return the points as they are, float32 or float64; if they are extreme, in another unit and float64."""
    if points.dtype != torch.float64:
        points = points.float()
    low, high = (float(end) for end in torch.aminmax(points)) if points.numel() else (0.0, 0.0)
    largest = max(-low, high)
    if largest == 0 or 1 / ORDINARY < largest < ORDINARY:
        return points
    return points.double() / power_of_two(points.double())


def power_of_two(clouds: Float[Tensor, "*batch n d"]) -> Float[Tensor, "*batch 1 1"]:
    """Return the largest power of two up to the greatest coordinate of each cloud; 1 where all are zero."""
    largest = clouds.abs().amax(dim=(-2, -1), keepdim=True)
    return torch.where(largest > 0, largest / (2 * torch.frexp(largest).mantissa), 1)


def product_roundoff(device: torch.device) -> float:
    """Return to which share torch may round the factors of a float32 product, by the user's settings."""
    backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    setting = getattr(getattr(backend, "matmul", None), "fp32_precision", None)
    if setting is None:  # torch before 2.9 knows one setting for all
        setting = {"highest": "ieee", "high": "tf32"}.get(torch.get_float32_matmul_precision(), "bf16")
    return {"none": SINGLE, "ieee": SINGLE, "tf32": 2.0**-10}.get(setting, 2.0**-8)
