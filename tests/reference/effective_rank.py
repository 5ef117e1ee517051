"""Effective rank as Roy and Vetterli (2007) define it, in NumPy."""

import numpy as np


def effective_rank(points: np.ndarray) -> float:
    singular = np.linalg.svd(points, compute_uv=False)
    shares = singular / np.abs(singular).sum()
    entropy = -sum(p * np.log(p) for p in shares if p > 0)
    return float(np.exp(entropy))


def centered_effective_rank(points: np.ndarray) -> float:
    return effective_rank(points - points.mean(axis=0))


def effective_rank_of_variances(points: np.ndarray) -> float:
    squares = np.linalg.svd(points, compute_uv=False) ** 2
    entropy = -sum(p * np.log(p) for p in squares / squares.sum() if p > 0)
    return float(np.exp(entropy))


def centered_effective_rank_of_variances(points: np.ndarray) -> float:
    return effective_rank_of_variances(points - points.mean(axis=0))
