"""Between-class anisotropy by replacing every point with its class mean, in NumPy."""

import numpy as np


def between_class_anisotropy(points: np.ndarray, labels: np.ndarray, k: int = 1) -> float:
    replaced = np.array([points[labels == label].mean(axis=0) for label in labels])
    variances = np.linalg.svd(replaced - points.mean(axis=0), compute_uv=False) ** 2
    return float(variances[:k].sum() / variances.sum())
