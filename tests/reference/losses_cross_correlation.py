"""Barlow Twins: standardize each view over the batch, correlate, compare with the identity entry by entry."""

import numpy as np


def standardized(view: np.ndarray) -> np.ndarray:
    return (view - view.mean(axis=0)) / np.sqrt(view.var(axis=0) + 1e-5)


def barlow_twins(first: np.ndarray, second: np.ndarray, off_diagonal: float = 5e-3) -> float:
    n, d = first.shape
    a, b = standardized(first), standardized(second)
    loss = 0.0
    for i in range(d):
        for j in range(d):
            correlation = sum(a[k, i] * b[k, j] for k in range(n)) / n
            loss += (1 - correlation) ** 2 if i == j else off_diagonal * correlation**2
    return loss
