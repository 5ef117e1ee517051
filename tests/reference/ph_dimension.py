"""Growth of the minimum spanning tree with its number of edges, by SciPy's tree and NumPy's line."""

import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import pdist, squareform


def total(points: np.ndarray) -> float:
    return float(minimum_spanning_tree(squareform(pdist(points))).sum())


def ph_dimension(points: np.ndarray, sizes: list[int], repeats: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    totals = [
        np.mean([total(points[rng.choice(len(points), size, replace=False)]) for _ in range(repeats)])
        for size in sizes
    ]
    slope, _ = np.polyfit(np.log(np.array(sizes) - 1), np.log(totals), 1)
    return float(1 / (1 - slope))
