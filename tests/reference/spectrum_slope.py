"""The power-law exponent of a spectrum: a line through logarithms by a general least-squares solver."""

import numpy as np


def spectrum_slope(points: np.ndarray, first: int, last: int) -> float:
    variances = np.linalg.eigvalsh(np.cov(points.T))[::-1]
    ranks = np.arange(first, last + 1)
    design = np.stack([np.log(ranks), np.ones(len(ranks))], axis=1)
    slope, _ = np.linalg.lstsq(design, np.log(variances[first - 1 : last]), rcond=None)[0]
    return float(-slope)
