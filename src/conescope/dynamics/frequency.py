"""Frequency and place: do frequent tokens stay closer to the centroid of their type?

For every type with m occurrences or more, m of them are drawn, whatever its count, since the centroid of few
points lies too close to them: by the factor sqrt(1 - 1/m) for a Gaussian, by which distances are divided.

    distance(t)   = mean_i | x_i - mean | / sqrt(1 - 1/m),    visibility(t) = `curvature_visibility` of the m

and the rank correlation (Spearman) of each with log count over the types.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._types import Labels, Points, Scalar
from conescope.dynamics.frames import generator_for
from conescope.dynamics.visibility import curvature_visibility

OCCURRENCES = 20
FEWEST = 3  # types, for a correlation


class RankCorrelation(NamedTuple):
    """Spearman's rho, its p value (of Student's approximation), and over how many types."""

    rho: float
    p: float
    types: int


class FrequencyGeometry(NamedTuple):
    """One entry a type that occurs often enough; both correlations are with log count."""

    types: Int64[Tensor, " t"]
    counts: Int64[Tensor, " t"]
    distances: Float[Tensor, " t"]
    visibilities: Float[Tensor, " t"]
    distance: RankCorrelation
    visibility: RankCorrelation


def frequency_geometry(
    points: Points,
    types: Labels,
    counts: Int64[Tensor, " vocabulary"] | None = None,
    *,
    occurrences: int = OCCURRENCES,
    seed: int = 0,
) -> FrequencyGeometry:
    """Return distance to the centroid and curvature visibility of every type, against its frequency.

    Correlations over fewer than three types, or of numbers that are all the same, are nan.

    Args:
        points: contextual vectors, (n, d).
        types: the number of the token type of each point.
        counts: of each type in the corpus, by its number; None counts the points.
        occurrences: m, of every type; types with fewer are left out.
        seed: of the draws.

    Raises:
        ValueError: if types and points differ in number, counts lack a type, or m < 2.
    """
    if occurrences < 2:
        raise ValueError(f"a centroid is of 2 occurrences or more, got occurrences = {occurrences}")
    if len(types) != len(points):
        raise ValueError(f"there is one type a point: expected {len(points)} of them, got {len(types)}")
    found, seen = torch.unique(types, return_counts=True)
    found, seen = found[seen >= occurrences], seen[seen >= occurrences]
    if counts is not None and len(found) and len(counts) <= int(found.max()):
        raise ValueError(
            f"counts go by the numbers of the types, so there must be more than {int(found.max())} of them, "
            f"got {len(counts)}"
        )
    generator = generator_for(seed, torch.device("cpu"))
    patches = [_drawn(points, (types == one).nonzero()[:, 0], occurrences, generator) for one in found]
    frequency = seen if counts is None else counts[found]
    empty = points.new_zeros(0)
    distances = torch.stack([centroid_distance(patch) for patch in patches]) if patches else empty
    visibilities = torch.stack([curvature_visibility(patch) for patch in patches]) if patches else empty
    return FrequencyGeometry(
        found,
        frequency,
        distances,
        visibilities,
        rank_correlation(frequency.double().log(), distances.double()),
        rank_correlation(frequency.double().log(), visibilities.double()),
    )


def centroid_distance(points: Points) -> Scalar:
    """Return the mean distance of m points to their centroid over sqrt(1 - 1/m); nan for one point."""
    m = len(points)
    if m < 2:
        return points.sum() * math.nan
    mean: Scalar = torch.linalg.vector_norm(points - points.mean(dim=0), dim=1).mean()
    return mean / math.sqrt(1 - 1 / m)


def rank_correlation(one: Float[Tensor, " t"], other: Float[Tensor, " t"]) -> RankCorrelation:
    """Return Spearman's correlation over the entries at which both are finite."""
    from scipy.stats import spearmanr

    both = torch.isfinite(one) & torch.isfinite(other)
    one, other = one[both].detach().cpu(), other[both].detach().cpu()
    if len(one) < FEWEST or one.min() == one.max() or other.min() == other.max():
        return RankCorrelation(math.nan, math.nan, len(one))
    found = spearmanr(one.numpy(), other.numpy())
    return RankCorrelation(float(found.statistic), float(found.pvalue), len(one))


def _drawn(
    points: Points, rows: Tensor, occurrences: int, generator: torch.Generator
) -> Float[Tensor, "m d"]:
    return points[rows[torch.randperm(len(rows), generator=generator)[:occurrences].to(rows.device)]]
