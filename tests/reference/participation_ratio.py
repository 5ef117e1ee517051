"""Participation ratio of the eigenvalues of the covariance, in NumPy."""

import numpy as np


def participation_ratio(points: np.ndarray) -> float:
    variances = np.linalg.eigvalsh(np.cov(points.T).reshape(points.shape[1], -1))
    return float(sum(variances) ** 2 / sum(variance**2 for variance in variances))
