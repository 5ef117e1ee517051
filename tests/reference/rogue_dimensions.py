"""Contributions of coordinates to the mean cosine (Timkey and van Schijndel 2021): a loop over all pairs."""

import itertools
import math


def contributions(points: list[list[float]]) -> list[float]:
    """Return for each coordinate its part of the mean cosine."""
    pairs = list(itertools.combinations([row for row in points if any(row)], 2))
    parts = [[x * y / (math.hypot(*a) * math.hypot(*b)) for x, y in zip(a, b, strict=True)] for a, b in pairs]
    return [math.fsum(column) / len(pairs) for column in zip(*parts, strict=True)]


def shares(points: list[list[float]]) -> list[float]:
    """Return the share of each coordinate in the mean cosine, largest first."""
    parts = contributions(points)
    return sorted((part / math.fsum(parts) for part in parts), reverse=True)
