"""Mean cosine as the definition reads: a loop over all pairs, in plain Python."""

import math


def mean_cosine(points: list[list[float]]) -> float:
    cosines = []
    for i, a in enumerate(points):
        for b in points[i + 1 :]:
            product = math.fsum(x * y for x, y in zip(a, b, strict=True))
            cosines.append(product / (math.hypot(*a) * math.hypot(*b)))
    return math.fsum(cosines) / len(cosines)


def centered_mean_cosine(points: list[list[float]]) -> float:
    means = [math.fsum(column) / len(points) for column in zip(*points, strict=True)]
    return mean_cosine([[x - m for x, m in zip(row, means, strict=True)] for row in points])
