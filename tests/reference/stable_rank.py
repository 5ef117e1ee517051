"""Stable rank from the two matrix norms of its definition, in NumPy."""

import numpy as np


def stable_rank(points: np.ndarray) -> float:
    return float(np.linalg.norm(points, "fro") ** 2 / np.linalg.norm(points, 2) ** 2)


def centered_stable_rank(points: np.ndarray) -> float:
    return stable_rank(points - points.mean(axis=0))
