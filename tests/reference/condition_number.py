"""Condition number and PC ratio from the principal component variances, in NumPy."""

import numpy as np


def principal_variances(points: np.ndarray) -> np.ndarray:
    """Return what a PCA with min(n, d) components explains, largest first."""
    singular = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return singular**2 / (len(points) - 1)


def condition_number(points: np.ndarray) -> float:
    n, d = points.shape
    variances = principal_variances(points)[: min(n - 1, d)]
    return float(variances.max() / variances.min())


def variance_ratio(points: np.ndarray) -> float:
    variances = principal_variances(points)
    return float(variances.min() / variances.max())
