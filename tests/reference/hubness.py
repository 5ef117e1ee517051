"""k-occurrences as Radovanovic et al. (2010) define them, in plain Python and NumPy."""

import numpy as np

from tests.reference.neighbors import neighbors


def occurrences(points: np.ndarray, k: int) -> np.ndarray:
    n = len(points)
    _, lists = neighbors(points, min(k, n - 2))
    return np.array([sum(i in row for row in lists.tolist()) for i in range(n)], dtype=float)


def hubness(points: np.ndarray, k: int) -> float:
    counts = occurrences(points, k)
    if len(set(counts)) == 1:
        return 0.0
    return float(np.mean((counts - counts.mean()) ** 3) / counts.std() ** 3)


def antihubs(points: np.ndarray, k: int) -> float:
    return float(np.mean(occurrences(points, k) == 0))
