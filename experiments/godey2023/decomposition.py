"""How much of the uncentered anisotropy of a layer is its mean, how much a few coordinates, and what is left.

For a measure A (mean cosine, or anisotropy_1) of points x:

    raw        A(x)
    centered   A after subtracting the mean
    trimmed    A after leaving out the ROGUE coordinates with the largest second moments
    both       A after leaving out these coordinates, and then subtracting the mean

The share of the mean is the average of what subtracting it takes away before and after the coordinates are
left out, over raw, and likewise the share of the coordinates: the Shapley values of the two steps, which do
not depend on an order. What is left is both / raw. The three add up to 1.

Errors are by a delete-a-group jackknife over inputs, since the tokens of one input are not independent.
"""

import math
from functools import partial

import torch

from conescope._intervals import student_quantile
from conescope.measures import anisotropy, mean_cosine

ROGUE = 3
GROUPS = 10


def _anisotropy(points):
    return anisotropy(points, center=False)


MEASURES = {"mean_cosine": mean_cosine, "anisotropy_1": _anisotropy}


def decomposed(points, owners):
    """Return measure -> part -> (value, low, high); None where it is undefined or has no interval.

    Args:
        points: of shape (n, d).
        owners: the number of the input that each point comes from.
    """
    points = points.double()
    return {
        name: jackknifed(points, owners, partial(_parts, measure=measure))
        for name, measure in MEASURES.items()
    }


def jackknifed(points, owners, statistics):
    """Return name -> (value, low, high) of the numbers that `statistics` returns by name."""
    inputs = torch.unique(owners)
    shuffled = inputs[torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))]
    group = torch.zeros(int(inputs.max()) + 1, dtype=torch.int64)
    group[shuffled] = torch.arange(len(shuffled)) % GROUPS
    values = statistics(points)
    without = [statistics(points[group[owners] != left]) for left in range(GROUPS)]
    return {name: _with_interval(value, [rest[name] for rest in without]) for name, value in values.items()}


def _parts(points, measure):
    moments = points.square().mean(dim=0)
    kept = torch.ones(points.shape[1], dtype=torch.bool)
    kept[moments.topk(min(ROGUE, len(moments) - 1)).indices] = False
    trimmed = points[:, kept]
    raw, centered, less, both = (
        float(measure(cloud))
        for cloud in (points, points - points.mean(dim=0), trimmed, trimmed - trimmed.mean(dim=0))
    )
    values = {"raw": raw, "centered": centered, "trimmed": less, "both": both}
    whole = raw if raw > 0 else math.nan
    return values | {
        "mean_share": ((raw - centered) + (less - both)) / 2 / whole,
        "rogue_share": ((raw - less) + (centered - both)) / 2 / whole,
        "left": both / whole,
    }


def _with_interval(value, without):
    if not math.isfinite(value):
        return None, None, None
    if not all(map(math.isfinite, without)):
        return value, None, None
    mean = math.fsum(without) / len(without)
    error = math.sqrt((GROUPS - 1) / GROUPS * math.fsum((one - mean) ** 2 for one in without))
    half = student_quantile(GROUPS - 1) * error
    return value, value - half, value + half
