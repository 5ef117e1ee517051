"""Minimum spanning trees of small clouds by Prim's algorithm, as a loop that can be compiled.

Reference: Prim (1957), Shortest connection networks and some generalizations.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Trees: TypeAlias = tuple[NDArray[np.int64], NDArray[np.bool_]]
Prim: TypeAlias = Callable[[NDArray[np.float64], NDArray[np.bool_], float], Trees]


def prim(  # noqa: C901 - compiled code calls no function that is not compiled
    products: NDArray[np.float64], present: NDArray[np.bool_], roundoff: float
) -> Trees:
    """Return the edges u < v of each minimum spanning tree, ascending by pair, and which trees are certain.

    Squared distances are those of `padded_edges`, to the bit, and equal ones are ordered by the pair of
    points, as there. A tree is certain if there is no other one should every squared distance be wrong by
    `roundoff` times the greatest squared norm.

    Args:
        products: (clouds, n, n), of the points of each cloud with each other.
        present: (clouds, n), which points there are. Of p points, the edges after the first p - 1 are (0, 0).
        roundoff: a share, 0 or more.
    """
    clouds, n, _ = products.shape
    edges = np.zeros((clouds, max(n - 1, 0), 2), dtype=np.int64)
    certain = np.ones(clouds, dtype=np.bool_)
    squares = np.empty((n, n))
    length, pair = np.empty(n), np.empty(n, dtype=np.int64)  # of each point's shortest edge to the tree
    outside = np.empty(n, dtype=np.bool_)
    order = np.empty(n, dtype=np.int64)  # of the points, as the tree takes them
    for cloud in range(clouds):
        of = products[cloud]
        outside[:] = present[cloud]
        length[:], pair[:] = np.inf, 0  # a point that is not finite keeps the pair (0, 0)
        last, count, greatest = -1, 0, 0.0
        for point in range(n - 1, -1, -1):
            if outside[point]:
                last = point
        while last >= 0:
            order[count] = last
            count += 1
            outside[last] = False
            greatest = max(greatest, of[last, last])
            following = -1
            for point in range(n):
                if not outside[point]:
                    continue
                # to the bit, products are not symmetric, nor are sums of three numbers
                there = -2 * of[last, point] + of[point, point] + of[last, last]
                back = -2 * of[point, last] + of[last, last] + of[point, point]
                square = max(there, back, 0.0)
                squares[last, point] = square
                edge = min(last, point) * n + max(last, point)
                if square < length[point] or (square == length[point] and edge < pair[point]):
                    length[point], pair[point] = square, edge
                if (
                    following < 0
                    or length[point] < length[following]
                    or (length[point] == length[following] and pair[point] < pair[following])
                ):
                    following = point
            last = following
        numbers = np.sort(pair[order[1:count]])
        edges[cloud, : len(numbers), 0] = numbers // n
        edges[cloud, : len(numbers), 1] = numbers % n
        # the longest edge of the tree between two points is the longest that it took after the first of them
        slack = 2 * roundoff * greatest
        for later in range(1, count):
            last, longest = order[later], 0.0
            for earlier in range(later - 1, -1, -1):
                point = order[earlier]
                longest = max(longest, length[order[earlier + 1]])
                if squares[point, last] <= longest + slack:
                    edge = min(last, point) * n + max(last, point)
                    certain[cloud] &= edge == pair[last]
    return edges, certain
