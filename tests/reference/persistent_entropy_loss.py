"""The regularizer as the paper states it: one class after the other, in plain Python."""

import numpy as np

from tests.reference import selection
from tests.reference.entropy import entropy
from tests.reference.spanning import prim_lengths


def loss(points: np.ndarray, labels: np.ndarray, rule: str | None, min_points: int) -> float:
    total = 0.0
    for label in sorted(set(labels.tolist())):
        cloud = points[labels == label]
        if len(cloud) < min_points:
            continue
        bars = prim_lengths(cloud).tolist()
        kept = [bar > 0 for bar in bars] if rule is None else getattr(selection, rule)(bars)
        total += entropy([bar for bar, keep in zip(bars, kept, strict=True) if keep])
    return -total
