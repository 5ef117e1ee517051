"""Patchiness, and the columns beside it, from points and their cells, in plain Python and NumPy.

Lloyd (1967) for mean crowding; Marbut et al. (2024) for the rest.
"""

import math
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from tests.reference.eee import eee


def mean_crowding(counts: list[int]) -> float:
    """Ask every individual how many others are in its cell, and take the mean."""
    answers = [count - 1 for count in counts for _ in range(count)]
    return sum(answers) / len(answers)


def patchiness(codebooks: list[list[int]]) -> float:
    values = [mean_crowding(counts) / (sum(counts) / len(counts)) for counts in codebooks]
    return sum(values) / len(values)


def published_patchiness(codebooks: list[list[int]]) -> float:
    counts = [count for codebook in codebooks for count in codebook]  # all in one list ...
    m = sum(counts) / len(codebooks[0])  # ... whose sum is divided by the cells of one codebook
    crowding = m + float(np.var(counts)) / m - 1
    return crowding / m


def count_variance(codebooks: list[list[int]]) -> float:
    variances = []
    for counts in codebooks:
        shares = [count / sum(counts) for count in counts]
        variances.append(np.var([p / (1 - p) * (len(counts) - 1) for p in shares]))
    return float(np.mean(variances))


def counts(codes: NDArray, k: int) -> list[list[int]]:
    return [[Counter(column.tolist())[cell] for cell in range(k)] for column in codes.T]


def reconstruction(codes: NDArray, centroids: NDArray, origin: NDArray, quantizer: str) -> NDArray:
    """Look up the centroids of each point, and put them side by side (product) or add them (additive)."""
    d = len(origin)
    widths = [len(block) for block in np.array_split(np.arange(d), len(centroids))]
    rows = []
    for row in codes:
        vectors = [book[code] for book, code in zip(centroids, row, strict=True)]
        if quantizer == "product":
            rows.append(np.concatenate([v[:width] for v, width in zip(vectors, widths, strict=True)]))
        else:
            rows.append(np.sum(vectors, axis=0))
    return np.array(rows) + origin


def spread(points: NDArray, approximated: NDArray, codes: NDArray, centroids: NDArray) -> dict[str, float]:
    errors = np.linalg.norm(points - approximated, axis=1)
    steps = errors - errors.mean()
    nearest = []
    for book in centroids:
        for i, one in enumerate(book):
            nearest.append(min(((one - other) ** 2).sum() for j, other in enumerate(book) if j != i))
    inside = []
    for column in codes.T:
        for cell in set(column.tolist()):
            members = np.unique(points[column == cell], axis=0)
            if len(members) > 1:
                inside.append(eee(members))
    q75, q25 = np.percentile(errors / errors.max(), [75, 25])
    return {
        "reconstruction_error": (errors**2).sum() / (points**2).sum(),
        "error_iqr": q75 - q25,
        "error_skew": (steps**3).mean() / (steps**2).mean() ** 1.5,
        "centroid_spread": np.var(np.array(nearest) / max(nearest)),
        "within_cell_eee": np.mean(inside) if inside else math.nan,
        "count_variance": count_variance(counts(codes, centroids.shape[1])),
    }
