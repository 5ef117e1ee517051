"""Minus the entropy of the variance shares, from the singular values of the points, in float64 NumPy."""

import numpy as np


def spectral_entropy_loss(points: np.ndarray, order: int = 1, center: bool = True) -> float:
    rows = points - points.mean(axis=0) if center else points
    sizes = np.linalg.svd(rows, compute_uv=False) ** 2
    shares = sizes / sizes.sum()
    if order == 2:
        return float(np.log((shares**2).sum()))
    shares = shares[shares > 1e-13]
    return float((shares * np.log(shares)).sum())
