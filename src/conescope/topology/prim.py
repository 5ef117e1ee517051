"""Minimum spanning trees of small clouds by Prim's algorithm, as a loop that can be compiled.

Reference: Prim (1957), Shortest connection networks and some generalizations.
"""

import numpy as np
from numpy.typing import NDArray


def prim(squares: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the edges u < v of each minimum spanning tree, ascending by pair, and their lengths.

    Equal lengths are ordered by the pair of points. Where a graph falls apart, the rest of its n - 1 edges
    are (0, 0), of length zero.

    Args:
        squares: (clouds, n, n), of the distances, symmetric to the bit. Infinity, or NaN, means "no edge".
    """
    clouds, n, _ = squares.shape
    edges = np.zeros((clouds, max(n - 1, 0), 2), dtype=np.int64)
    lengths = np.zeros((clouds, max(n - 1, 0)), dtype=np.float32)
    none = n * n  # no edge, as a number of a pair
    square, pair = np.empty(n), np.empty(n, dtype=np.int64)  # of each point's shortest edge to the tree
    outside = np.empty(n, dtype=np.bool_)
    for cloud in range(clouds):
        outside[:], square[:], pair[:] = True, np.inf, none
        last = 0
        for _ in range(n - 1):
            outside[last] = False
            following = -1
            for point in range(n):
                if not outside[point]:
                    continue
                there, edge = squares[cloud, last, point], min(last, point) * n + max(last, point)
                if there < square[point] or (there == square[point] < np.inf and edge < pair[point]):
                    square[point], pair[point] = there, edge
                if (
                    following < 0
                    or square[point] < square[following]
                    or (square[point] == square[following] and pair[point] < pair[following])
                ):
                    following = point
            last = following
        order = np.argsort(pair)  # the first point has no edge
        for step in range(n - 1):
            point = order[step]
            if pair[point] < none:
                edges[cloud, step] = pair[point] // n, pair[point] % n
                lengths[cloud, step] = np.sqrt(square[point])
    return edges, lengths
