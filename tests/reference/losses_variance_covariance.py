"""VICReg's variance and covariance terms of one view, with the matrix and its entries one by one."""

import math

import numpy as np


def variance_term(points: np.ndarray, target: float = 1.0) -> float:
    deviations = [math.sqrt(np.var(column, ddof=1) + 1e-4) for column in points.T]
    return sum(max(0.0, target - deviation) for deviation in deviations) / len(deviations)


def covariance_term(points: np.ndarray) -> float:
    covariance = np.cov(points.T, ddof=1).reshape(points.shape[1], -1)
    d = len(covariance)
    return sum(covariance[i, j] ** 2 for i in range(d) for j in range(d) if i != j) / d
