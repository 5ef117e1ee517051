"""Nearest neighbors by comparing every pair of points, in NumPy."""

import numpy as np


def neighbors(points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the k nearest others, closest first, and who they are; ties go to the lower index."""
    n = len(points)
    distances, indices = [], []
    for i in range(n):
        others = [j for j in range(n) if j != i]
        to = {j: float(np.sqrt(((points[i] - points[j]) ** 2).sum())) for j in others}
        nearest = sorted(others, key=lambda j: (to[j], j))[:k]
        indices.append(nearest)
        distances.append([to[j] for j in nearest])
    width = max(min(k, n - 1), 0)
    return np.array(distances).reshape(n, width), np.array(indices, dtype=int).reshape(n, width)
