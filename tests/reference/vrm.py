"""Vasicek ratio MSE step by step (Marbut et al. 2023), with SciPy's entropy, column by column."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import differential_entropy


def ratios(points: NDArray) -> list[float]:
    """Return one ratio a dimension; a principal direction without spread has entropy -inf and ratio 0."""
    n, d = points.shape
    shifted = points - points.mean(axis=0)
    _, singular, directions = np.linalg.svd(shifted, full_matrices=True)
    variances = singular**2 / (n - 1)
    scores = shifted @ directions.T * math.sqrt(d / variances.sum())
    found = []
    for j in range(d):
        empty = j >= len(singular) or singular[j] < 1e-10 * singular[0]
        entropy = -math.inf if empty else float(differential_entropy(scores[:, j]))
        found.append(math.exp(entropy) / math.sqrt(2 * math.pi * math.e))
    return found


def vrm(points: NDArray) -> float:
    return sum((1 - ratio) ** 2 for ratio in ratios(points)) / points.shape[1]


def gaussian_vrm(variances: list[float]) -> float:
    d, total = len(variances), sum(variances)
    return sum((1 - math.sqrt(d * variance / total)) ** 2 for variance in variances) / d
