"""NC1 as Papyan, Han and Donoho (2020) define it: both covariances in full, and a pseudo-inverse."""

import numpy as np


def neural_collapse(points: np.ndarray, labels: np.ndarray) -> float:
    classes = sorted(set(labels.tolist()))
    d = points.shape[1]
    means = {c: points[labels == c].mean(axis=0) for c in classes}
    center = sum(means.values()) / len(classes)
    within = np.zeros((d, d))
    for point, label in zip(points, labels.tolist(), strict=True):
        within += np.outer(point - means[label], point - means[label]) / len(points)
    between = np.zeros((d, d))
    for c in classes:
        between += np.outer(means[c] - center, means[c] - center) / len(classes)
    return float(np.trace(within @ np.linalg.pinv(between, rcond=1e-12)) / len(classes))
