"""Lengths of edges, and what their gradients do to the points, as loops that can be compiled.

`lengths` does the same by torch. Here float32 points are read where they are, without a copy of either end,
and lengths are taken in float64, in which no square leaves the range.
"""

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]


def norms_of_edges(points: Singles, edges: NDArray[np.int64]) -> Singles:
    """Return the length of each edge (u, v) between rows of the points.

    Args:
        points: (n, d).
        edges: (edges, 2).
    """
    lengths = np.empty(len(edges), dtype=np.float32)
    for number in range(len(edges)):
        first, second = points[edges[number, 0]], points[edges[number, 1]]
        square = 0.0
        for axis in range(len(first)):
            gap = np.float64(first[axis]) - np.float64(second[axis])
            square += gap * gap
        lengths[number] = np.sqrt(square)
    return lengths


def pulls_of_edges(points: Singles, edges: NDArray[np.int64], lengths: Singles, grad: Singles) -> Singles:
    """Return, for each point, the unit vectors of its edges times their gradients; none for length zero.

    Each row is written once, from the edges of its point in their order.

    Args:
        points: (n, d).
        edges: (edges, 2).
        lengths: of the edges.
        grad: of each length.
    """
    begins = np.zeros(len(points) + 1, dtype=np.int64)  # of the edges of each point
    for number in range(len(edges)):
        for end in range(2):
            begins[edges[number, end] + 1] += 1
    begins = np.cumsum(begins)
    free = begins[:-1].copy()
    other, share = np.empty(2 * len(edges), dtype=np.int64), np.empty(2 * len(edges))
    for number in range(len(edges)):
        # of float32 the quotient could overflow
        pull = np.float64(grad[number]) / np.float64(lengths[number]) if lengths[number] > 0 else 0.0
        for end in range(2):
            point = edges[number, end]
            other[free[point]], share[free[point]] = edges[number, 1 - end], pull
            free[point] += 1
    moved = np.empty_like(points)
    for point in range(len(points)):
        here, row = points[point], moved[point]
        row[:] = 0
        for number in range(begins[point], begins[point + 1]):
            there, pull = points[other[number]], share[number]
            for axis in range(len(row)):
                row[axis] += np.float32((np.float64(here[axis]) - np.float64(there[axis])) * pull)
    return moved
