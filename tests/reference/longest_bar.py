"""Longest bar over median bar, from the merges of a naive single linkage."""

import statistics

import numpy as np


def bars(points: np.ndarray) -> list[float]:
    """Join the two closest components until one is left; the distances at which they join are the bars."""
    components = [[i] for i in range(len(points))]
    lengths = []
    while len(components) > 1:
        gap, a, b = min(
            (min(float(np.linalg.norm(points[i] - points[j])) for i in one for j in other), a, b)
            for a, one in enumerate(components)
            for b, other in enumerate(components)
            if a < b
        )
        lengths.append(gap)
        components[a] += components.pop(b)
    return lengths


def longest_bar_ratio(points: np.ndarray) -> float:
    positive = [length for length in bars(points) if length > 0]
    return max(positive) / statistics.median(positive)
