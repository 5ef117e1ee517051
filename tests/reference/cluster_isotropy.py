"""The steps of Cai et al. (2021) that follow the clustering, as loops over points and pairs."""

import numpy as np


def mean_silhouette(points: np.ndarray, labels: np.ndarray) -> float:
    """Rousseeuw (1987): (b - a) / max(a, b) for each point, 0 in a cluster of one."""
    scores = []
    for i, point in enumerate(points):
        distances = np.linalg.norm(points - point, axis=1)
        own = (labels == labels[i]) & (np.arange(len(points)) != i)
        if not own.any():
            scores.append(0.0)
            continue
        a = distances[own].mean()
        b = min(distances[labels == other].mean() for other in set(labels.tolist()) - {int(labels[i])})
        scores.append((b - a) / max(a, b))
    return float(np.mean(scores))


def cluster_centered_cosine(points: np.ndarray, labels: np.ndarray) -> float:
    centered = [p - points[labels == label].mean(axis=0) for p, label in zip(points, labels, strict=True)]
    cosines = [
        float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))
        for i, x in enumerate(centered)
        for y in centered[i + 1 :]
    ]
    return float(np.mean(cosines))
