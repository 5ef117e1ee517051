"""IsoScore* as the paper reads (Rudman and Eickhoff 2024): shrink C, then the steps of IsoScore."""

import numpy as np


def isoscore_star(points: np.ndarray, reference: np.ndarray, zeta: float) -> float:
    d = points.shape[1]
    covariance = (1 - zeta) * np.cov(points.T) + zeta * reference
    components = np.linalg.svd(covariance, compute_uv=False)
    components = components * np.sqrt(d) / np.linalg.norm(components)
    defect = np.linalg.norm(components - np.ones(d)) / np.sqrt(2 * (d - np.sqrt(d)))
    return float(((d - defect**2 * (d - np.sqrt(d))) ** 2 - d) / (d * (d - 1)))
