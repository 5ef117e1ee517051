"""Drift as the definition reads, in plain Python: the mean by coordinates, then its length."""

import math


def drift(points: list[list[float]]) -> float:
    mean = [math.fsum(column) / len(points) for column in zip(*points, strict=True)]
    return math.hypot(*mean)


def relative_drift(points: list[list[float]]) -> float:
    return drift(points) / (math.fsum(math.hypot(*row) for row in points) / len(points))
