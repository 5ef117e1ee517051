"""TwoNN on the distinct points, from the definition of Facco et al. (2017), in NumPy."""

import numpy as np

from tests.reference.neighbors import neighbors


def twonn(points: np.ndarray, discard: float = 0.0) -> float:
    nearest = neighbors(np.unique(points, axis=0), 2)[0]
    ratios = sorted(float(r2 / r1) for r1, r2 in nearest)
    kept = ratios[: len(ratios) - int(np.floor(discard * len(ratios)))]
    known = sum(np.log(mu) for mu in kept)
    at_least = (len(ratios) - len(kept)) * np.log(kept[-1])
    return float(len(kept) / (known + at_least))
