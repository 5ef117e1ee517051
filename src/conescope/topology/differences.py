"""Squared distances of the points of small clouds as they are defined, as a loop that can be compiled.

Differences of float32 numbers are exact in float64, or nearly so, and no square leaves the range. A cloud of
a few points stays in the cache meanwhile; of many, products (`products`) take less time.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Squares: TypeAlias = NDArray[np.float64]
Differences: TypeAlias = Callable[[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]], Squares]


def squared_differences(
    points: NDArray[np.float32], members: NDArray[np.int64], present: NDArray[np.bool_]
) -> Squares:
    """Return the squared distances within each cloud, (clouds, m, m): infinity to members that are absent.

    Args:
        points: (n, d), of all clouds.
        members: (clouds, m), the rows of each cloud.
        present: (clouds, m), which members there are.
    """
    clouds, most = members.shape
    squares = np.full((clouds, most, most), np.inf)
    for place in range(most):
        squares[:, place, place] = 0
    rows = np.empty((most, points.shape[1]))  # of one cloud, in float64
    for cloud in range(clouds):
        for place in range(most):
            if not present[cloud, place]:
                continue
            point, row = points[members[cloud, place]], rows[place]
            for axis in range(len(row)):
                row[axis] = point[axis]
            for other in range(place):
                if not present[cloud, other]:
                    continue
                there, square = rows[other], 0.0
                for axis in range(len(row)):
                    gap = row[axis] - there[axis]
                    square += gap * gap
                squares[cloud, place, other] = squares[cloud, other, place] = square
    return squares
