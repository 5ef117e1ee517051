"""Alignment as Wang and Isola (2020) write it, over every pair of rows with equal labels."""

from itertools import combinations

import numpy as np


def alignment_loss(points: np.ndarray, labels: np.ndarray, exponent: float = 2.0) -> float:
    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    pairs = [(i, j) for i, j in combinations(range(len(points)), 2) if labels[i] == labels[j] >= 0]
    return float(np.mean([np.linalg.norm(units[i] - units[j]) ** exponent for i, j in pairs]))
