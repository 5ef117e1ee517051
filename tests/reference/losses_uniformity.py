"""Uniformity as Wang and Isola (2020) write it: log of the mean Gaussian potential, pair by pair."""

from itertools import combinations

import numpy as np


def uniformity_loss(points: np.ndarray, t: float = 2.0) -> float:
    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    potentials = [np.exp(-t * ((u - v) ** 2).sum()) for u, v in combinations(units, 2)]
    return float(np.log(np.mean(potentials)))
