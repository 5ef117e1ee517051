"""Global orthogonal regularization as Zhang et al. (2017) write it, pair by pair."""

from itertools import permutations

import numpy as np


def orthogonal_loss(points: np.ndarray, hinge: bool = False, mean_weight: float = 0.0) -> float:
    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    cosines = np.array([u @ v for u, v in permutations(units, 2)])
    second = (cosines**2).mean()
    if hinge:
        second = max(0.0, second - 1 / points.shape[1])
    return float(second + mean_weight * cosines.mean() ** 2)
