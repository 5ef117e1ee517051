"""Point clouds made ready for their measures: in float64, of a sane size, and centered.

All measures of this package ignore the unit of the points, so the unit is free. Where it is extreme, it
is changed by a power of two, which costs no digit, and no fourth power over- or underflows.

A mean is computed from differences to one of the points. Then the mean of coincident points is that
point to the last bit, and a cloud that is far from the origin and small keeps the digits it has.
"""

import torch

from conescope._check import check_finite, check_labels, check_points
from conescope._types import Labels, Points

ORDINARY = 100  # largest coordinates from 2^-100 to 2^100 are left as they are


def in_double(points: Points) -> Points:
    """Return the points in float64, in another unit if the largest coordinate is extreme.

    Raises:
        TypeError: if they are not floating point.
        ValueError: if they are not of shape (n, d), or hold NaN or infinity (the row is named).
    """
    check_points(points)
    check_finite(points)
    wide = points.double()
    if wide.numel() == 0:
        return wide
    low, high = torch.aminmax(wide.detach())
    exponent = torch.frexp(torch.maximum(-low, high)).exponent
    if abs(int(exponent)) < ORDINARY:
        return wide
    return wide * torch.exp2(-exponent.clamp(-1000, 1000).double())


def centered(points: Points) -> Points:
    """Return `in_double(points)` minus their mean; coincident points give exact zeros."""
    wide = in_double(points)
    if len(wide) == 0:
        return wide
    shifted = wide - wide[0].detach()
    return shifted - shifted.mean(dim=0)


def centered_within(points: Points, labels: Labels) -> Points:
    """Return `in_double(points)`, each minus the mean of its class; a class of one point gives zeros."""
    wide = in_double(points)
    check_labels(labels, len(wide))
    classes, index = torch.unique(labels, return_inverse=True)
    position = torch.arange(len(wide), device=wide.device)
    first = torch.full_like(classes, len(wide)).scatter_reduce(0, index, position, "amin")
    shifted = wide - wide.detach()[first[index]]
    sums = torch.zeros(len(classes), wide.shape[1], dtype=wide.dtype, device=wide.device)
    means = sums.index_add(0, index, shifted) / index.bincount(minlength=len(classes))[:, None]
    spread: Points = shifted - means[index]
    return spread
