"""Uniformity and alignment as Wang and Isola (2020) define them: loops in plain Python."""

import math


def _unit(point: list[float]) -> list[float]:
    length = math.hypot(*point)
    return [x / length for x in point]


def uniformity(points: list[list[float]], t: float = 2.0) -> float:
    units = [_unit(point) for point in points]
    potentials = [math.exp(-t * math.dist(a, b) ** 2) for i, a in enumerate(units) for b in units[i + 1 :]]
    return math.log(math.fsum(potentials) / len(potentials))


def alignment(points: list[list[float]], partners: list[list[float]], exponent: float = 2.0) -> float:
    pairs = list(zip(points, partners, strict=True))
    return math.fsum(math.dist(_unit(a), _unit(b)) ** exponent for a, b in pairs) / len(pairs)
