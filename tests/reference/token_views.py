"""Token views by their definitions: loops over all pairs, in plain Python with NumPy vectors.

A text is a list of (type, vector), one for each token. Which token of a text is the random one is given.
"""

import math
from itertools import combinations

import numpy as np


def cosine(one, other):
    return float(np.dot(one, other) / math.sqrt(np.dot(one, one) * np.dot(other, other)))


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else math.nan


def random_cosine(texts, picks):
    chosen = [text[pick][1] for text, pick in zip(texts, picks, strict=True)]
    return mean(cosine(one, other) for one, other in combinations(chosen, 2))


def contributions(texts, picks):
    """The part of each coordinate in the mean cosine of random tokens, as a share of it."""
    chosen = [text[pick][1] for text, pick in zip(texts, picks, strict=True)]
    units = [vector / np.linalg.norm(vector) for vector in chosen]
    parts = np.mean([one * other for one, other in combinations(units, 2)], axis=0)
    return parts / parts.sum()


def occurrences(texts):
    """The first vector of each type in each text."""
    found = {}
    for text in texts:
        seen = set()
        for kind, vector in text:
            if kind not in seen:
                seen.add(kind)
                found.setdefault(kind, []).append(vector)
    return found


def self_similarity(texts, kinds):
    found = occurrences(texts)
    return mean(
        mean(cosine(one, other) for one, other in combinations(found[kind], 2))
        for kind in kinds
        if len(found.get(kind, [])) > 1
    )


def intra_text_similarity(texts):
    return mean(
        mean(cosine(vector, np.mean([each for _, each in text], axis=0)) for _, vector in text)
        for text in texts
    )


def explainable_variance(vectors):
    sigma = np.linalg.svd(np.array(vectors), compute_uv=False)
    return float(sigma[0] ** 2 / (sigma**2).sum())


def bins(texts):
    """Types by the whole part of log2 of how often they occur."""
    counts = {}
    for text in texts:
        for kind, _ in text:
            counts[kind] = counts.get(kind, 0) + 1
    found = {}
    for kind, count in counts.items():
        found.setdefault(math.floor(math.log2(count)), set()).add(kind)
    return found


def of_bin(texts, kinds, chosen):
    mine = [(number, vector) for number, text in enumerate(texts) for kind, vector in text if kind in kinds]
    vectors = [vector for _, vector in mine]
    everything = np.mean([vector for text in texts for _, vector in text], axis=0)
    middle = np.mean(vectors, axis=0)
    length = mean(np.linalg.norm(vector) for vector in vectors)
    return {
        "tokens": len(vectors),
        "mean_norm": length,
        "mean_cosine": mean(
            cosine(one, other) for (here, one), (there, other) in combinations(mine, 2) if here != there
        ),
        "relative_drift": float(np.linalg.norm(middle) / length),
        "self_similarity": self_similarity(texts, chosen),
        "cosine_to_mean": cosine(middle, everything),
    }


def jackknife(values):
    """Half the width of the interval, from the values without each of ten groups of texts."""
    center = mean(values)
    error = math.sqrt(9 / 10 * sum((value - center) ** 2 for value in values))
    return 2.262157162798205 * error  # the quantile 0.975 of Student's t with 9 degrees of freedom
