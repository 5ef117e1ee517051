"""Class separation as Kornblith et al. (2021) define it: a loop over all pairs, self pairs included."""

import math


def cosine_distance(one: list[float], other: list[float]) -> float:
    product = math.fsum(a * b for a, b in zip(one, other, strict=True))
    return 1 - product / (math.hypot(*one) * math.hypot(*other))


def class_separation(points: list[list[float]], labels: list[int]) -> float:
    classes = sorted(set(labels))
    members = {c: [p for p, label in zip(points, labels, strict=True) if label == c] for c in classes}

    def mean_distance(j: int, k: int) -> float:
        distances = [cosine_distance(x, y) for x in members[j] for y in members[k]]
        return math.fsum(distances) / len(distances)

    within = math.fsum(mean_distance(k, k) for k in classes) / len(classes)
    whole = math.fsum(mean_distance(j, k) for j in classes for k in classes) / len(classes) ** 2
    return 1 - within / whole
