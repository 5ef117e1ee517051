"""Eigenvalue early enrichment step by step (Marbut et al. 2023), from scikit-learn's components."""

from itertools import pairwise

from numpy.typing import NDArray
from sklearn.decomposition import PCA


def eee_of_variances(variances: list[float]) -> float:
    """Take the area between the cumulative and the even curve over the area below the even one."""
    ordered = sorted(variances, reverse=True)
    p = len(ordered)
    heights = [sum(ordered[: k + 1]) - (k + 1) / p * sum(ordered) for k in range(p)]
    area = sum((left + right) / 2 for left, right in pairwise(heights))
    return area / (sum(ordered) * p / 2)


def eee(points: NDArray) -> float:
    return eee_of_variances(list(PCA(svd_solver="full").fit(points).explained_variance_))
