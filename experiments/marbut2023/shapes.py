"""The seven synthetic shapes of Marbut et al. (2023), with NumPy's legacy generator.

Each shape has n = 250 d points. What is drawn, how much of it at once, and in which order, is part of the
definition: with the seed 11 the clouds, and so their published measures, are the same everywhere.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

Cloud = NDArray[np.float64]

SEED = 11
PAIR = 250  # points of a pair of clusters, and points a dimension


def ball(d: int, random: RandomState) -> Cloud:
    """Even in the unit ball: all radii are drawn first."""
    radii = _radii(d, random)
    return radii[:, None] * _directions(d * PAIR, d, random)


def shell(d: int, random: RandomState) -> Cloud:
    """Even on the unit sphere."""
    return _directions(d * PAIR, d, random)


def nested_shells(d: int, random: RandomState) -> Cloud:
    """The first half of the points at radius 1/2, the second at radius 1."""
    radii = np.where(np.arange(d * PAIR) < d * PAIR // 2, 0.5, 1.0)
    return radii[:, None] * _directions(d * PAIR, d, random)


def cone(d: int, random: RandomState) -> Cloud:
    """Around the first axis, from the origin to 1.

    Heights h are drawn like the radii of a ball; the cone's radius at a height is R = h tan(1 / sqrt(d)); the
    distance to the axis is the (d - 1)-th root of a number from 0 to R. Evenly filled, the cone would have R
    times the root of a number from 0 to 1 there; the published values are those of the form used here.
    """
    heights = _radii(d, random)
    distances = random.uniform(0, heights * np.tan(1 / np.sqrt(d))) ** (1 / (d - 1))
    return np.hstack([heights[:, None], distances[:, None] * _directions(d * PAIR, d - 1, random)])


def symmetric_clusters(d: int, random: RandomState) -> Cloud:
    """Pairs of Gaussian clusters of 125 points around opposite centers."""
    half = PAIR // 2
    return np.vstack([_clusters([(half, c), (half, -c)], random) for c in _centers(d, random)])


def uneven_clusters(d: int, random: RandomState) -> Cloud:
    """Pairs around opposite centers: k points here and 250 - k there; k is drawn before its pair."""
    parts = []
    for center in _centers(d, random):
        k = random.choice(PAIR)
        parts.append(_clusters([(k, center), (PAIR - k, -center)], random))
    return np.vstack(parts)


def shifted_clusters(d: int, random: RandomState) -> Cloud:
    """Pairs around centers that are moved down and up: both moves are drawn before their pair."""
    parts = []
    for center in _centers(d, random):
        one = center + random.uniform(-1, 0, d)
        other = -center + random.uniform(0, 1, d)
        parts.append(_clusters([(PAIR // 2, one), (PAIR // 2, other)], random))
    return np.vstack(parts)


SHAPES: dict[str, Callable[[int, RandomState], Cloud]] = {
    "ball": ball,
    "shell": shell,
    "nested shells": nested_shells,
    "cone": cone,
    "symmetric clusters": symmetric_clusters,
    "uneven clusters": uneven_clusters,
    "shifted clusters": shifted_clusters,
}


def cloud(shape: str, d: int) -> Cloud:
    """Return the published cloud of a shape in d dimensions."""
    return SHAPES[shape](d, RandomState(SEED))


def _radii(d: int, random: RandomState) -> Cloud:
    return random.uniform(0, 1, d * PAIR) ** (1 / d)


def _directions(n: int, d: int, random: RandomState) -> Cloud:
    gaussian = random.normal(size=(n, d))
    return gaussian / np.linalg.norm(gaussian, axis=1, keepdims=True)


def _centers(d: int, random: RandomState) -> Cloud:
    return random.uniform(-1, 1, (d, d))


def _clusters(sizes_and_centers: list[tuple[int, Cloud]], random: RandomState) -> Cloud:
    """Gaussian clusters with a standard deviation of 1 / d, at most 0.2, drawn one after the other."""
    return np.vstack(
        [random.normal(c, min(1 / len(c), 0.2), (size, len(c))) for size, c in sizes_and_centers]
    )
