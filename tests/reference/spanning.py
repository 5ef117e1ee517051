"""Minimum spanning trees by the textbook, in float64 and from direct differences.

The finite bars of H0 of the Vietoris-Rips filtration are the edges of the Euclidean minimum spanning
tree (METHODS 1.1). Prim grows one tree from point 0; Kruskal goes through all pairs in order.
"""

import numpy as np


def prim_lengths(points: np.ndarray) -> np.ndarray:
    """Return the n - 1 edge lengths, ascending."""
    points = np.asarray(points, dtype=np.float64)
    n = len(points)
    if n < 2:
        return np.zeros(0)
    outside = np.ones(n, dtype=bool)
    outside[0] = False
    nearest = np.sqrt(((points - points[0]) ** 2).sum(axis=1))  # distance of every point to the tree
    lengths = []
    for _ in range(n - 1):
        new = int(np.where(outside, nearest, np.inf).argmin())
        lengths.append(nearest[new])
        outside[new] = False
        nearest = np.minimum(nearest, np.sqrt(((points - points[new]) ** 2).sum(axis=1)))
    return np.sort(lengths)


def kruskal_edges(points: np.ndarray) -> list[tuple[int, int]]:
    """Return the tree of the points, edges (u, v) with u < v in order of (length, u, v)."""
    points = np.asarray(points, dtype=np.float64)
    return kruskal(((points[:, None, :] - points[None, :, :]) ** 2).sum(axis=2))


def kruskal(distances: np.ndarray) -> list[tuple[int, int]]:
    """Return the minimum spanning forest of a graph; infinity is no edge; at ties the smaller pair first."""
    n = len(distances)
    pairs = [(distances[u, v], u, v) for u in range(n) for v in range(u + 1, n) if distances[u, v] < np.inf]
    tree = list(range(n))  # the name of the tree that each point is in
    edges = []
    for _, u, v in sorted(pairs):
        if tree[u] != tree[v]:
            edges.append((u, v))
            tree = [tree[u] if name == tree[v] else name for name in tree]
    return edges


def is_tree(edges: list[tuple[int, int]], points: int) -> bool:
    """Return whether these edges join all the points without a cycle."""
    tree = list(range(points))
    for u, v in edges:
        if tree[u] == tree[v]:
            return False
        tree = [tree[u] if name == tree[v] else name for name in tree]
    return len(set(tree)) <= 1
