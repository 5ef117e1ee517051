"""RankMe as equations 1 and 2 of the paper read (Garrido et al. 2023): a full SVD, eps inside each share."""

import math

import numpy as np


def rankme(points: np.ndarray) -> float:
    singular = np.linalg.svd(points, compute_uv=False)  # min(n, d) of them
    shares = [sigma / singular.sum() + 1e-7 for sigma in singular]
    return math.exp(-sum(p * math.log(p) for p in shares))
