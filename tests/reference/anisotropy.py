"""Anisotropy by a singular value decomposition, class by class, in NumPy."""

import numpy as np


def anisotropy(points: np.ndarray, k: int) -> float:
    squares = np.linalg.svd(points, compute_uv=False) ** 2
    return float(squares[:k].sum() / squares.sum())


def centered_anisotropy(points: np.ndarray, k: int) -> float:
    return anisotropy(points - points.mean(axis=0), k)


def within_class_anisotropy(points: np.ndarray, labels: np.ndarray, k: int) -> float:
    parts = [points[labels == label] for label in np.unique(labels)]
    return anisotropy(np.vstack([part - part.mean(axis=0) for part in parts]), k)
