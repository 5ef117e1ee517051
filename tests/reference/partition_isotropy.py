"""I(W) as Mu and Viswanath (2018) define it: a sum of exponentials for each eigenvector, in NumPy."""

import numpy as np
from numpy.typing import NDArray


def partition_isotropy(points: NDArray[np.float64], *, signs: tuple[int, ...] = (1, -1)) -> float:
    _, _, vectors = np.linalg.svd(points, full_matrices=True)  # rows: all d eigenvectors of W^T W
    values = []
    for vector in vectors:
        vector = vector * np.sign(vector[np.abs(vector).argmax()])
        for sign in signs:
            values.append(sum(np.exp(sign * (vector @ point)) for point in points))
    return float(min(values) / max(values))
