"""CosReg as common code reads: the sum of all cosines but those of the diagonal, over N^2 or N (N - 1)."""

import numpy as np


def cosine_loss(points: np.ndarray, include_self: bool = False) -> float:
    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    n = len(points)
    return float(((units @ units.T).sum() - n) / (n * n if include_self else n * (n - 1)))
