"""The symmetric loss of topological autoencoders, edge by edge, with the trees of scipy."""

import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist


def tree(points: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(*minimum_spanning_tree(cdist(points, points)).nonzero(), strict=True))


def topological(points: np.ndarray, reference: np.ndarray, scale: float = 1.0) -> float:
    kept, found = cdist(reference, reference), scale * cdist(points, points)
    return sum((kept[edge] - found[edge]) ** 2 / 2 for cloud in (reference, points) for edge in tree(cloud))


def ratio_of_means(points: np.ndarray, reference: np.ndarray) -> float:
    kept, found = cdist(reference, reference), cdist(points, points)
    edges = [*tree(reference), *tree(points)]
    return float(np.mean([kept[edge] for edge in edges]) / np.mean([found[edge] for edge in edges]))
