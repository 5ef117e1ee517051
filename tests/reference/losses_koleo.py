"""KoLeo point by point: normalize, look at all others, take the logarithm of the least distance."""

import math

import numpy as np


def koleo(points: np.ndarray, normalize: bool = True, eps: float = 1e-8) -> float:
    if normalize:
        points = np.array([point / np.linalg.norm(point) for point in points if point.any()])
    if len(points) < 2:
        return 0.0
    total = 0.0
    for i, point in enumerate(points):
        nearest = min(np.linalg.norm(point - other) for j, other in enumerate(points) if j != i)
        total -= math.log(nearest + eps)
    return total / len(points)
