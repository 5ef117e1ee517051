"""Cluster isotropy: does the cloud fall into clusters, and is it isotropic once each is centered?

Contextual embeddings look like a narrow cone as a whole, and like round clouds inside their clusters
(Cai et al. 2021). Their steps:

    k-means for k = 2 .. 15; keep the k with the best mean silhouette, or one cluster if that is below 0.1
    subtract from every point the mean of its cluster
    the mean cosine over all pairs of the points that result

The number of clusters and the silhouette say whether there are clusters. The cosine says less than it
seems to: centering takes the mean cosine away from almost any cloud, round or not. It is about -1 / (n - 1)
when each cluster is balanced around its mean, and stays above 0 only where clusters are skewed. So compare
it with the mean cosine before, and look at the shape of what is left with other measures: the labels that
the estimate returns go into `within_class_anisotropy`.

Decided here: Cai et al. cluster all tokens and take pairs of different word types, one token of each; there
are no types here, so every pair of points counts. k-means, the best of three k-means++ starts for each k, and
silhouettes see a seeded sample of at most 1000 points; then every point joins the nearest of the
centers found. The sample is drawn from the points ordered by their distance from the mean, so the order
in which they come changes nothing. Translation, rotation and scaling change nothing either.

Reference: Cai, Huang, Bian, Church (2021), "Isotropy in the contextual embedding space: clusters and
manifolds", ICLR; silhouettes: Rousseeuw (1987).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._copies import distinct_rows
from conescope._types import Labels, Points, Scalar
from conescope.measures.centering import centered, centered_within
from conescope.measures.cosine import mean_cosine

CLUSTERS = range(2, 16)
STARTS = 3  # of k-means, of which the best counts
STEPS = 10  # of k-means: by then hardly a point moves
SAMPLE = 1000
CLEAR = 0.1  # the silhouette below which there is one cluster
ROUNDING = (
    64 * torch.finfo(torch.float64).eps
)  # a point this close to its center, against the cloud, is there
DIGITS = 9  # of the distances that put the points in order


class ClusterIsotropy(NamedTuple):
    """Clusters of a cloud, and what is left of its mean cosine when each is centered."""

    clusters: Scalar  # how many
    silhouette: Scalar  # the best mean silhouette of the sample, also where it is too low for clusters
    mean_cosine: Scalar  # of all pairs, each point minus the mean of its cluster
    labels: Labels  # the cluster of each point, from 0


def cluster_count(points: Points, *, clusters: Sequence[int] = CLUSTERS, seed: int = 0) -> Scalar:
    """Return the number of clusters k-means finds, as `cluster_isotropy_estimate` does; nan for no points."""
    return cluster_isotropy_estimate(points, clusters=clusters, seed=seed).clusters


def cluster_centered_cosine(points: Points, *, clusters: Sequence[int] = CLUSTERS, seed: int = 0) -> Scalar:
    """Return the mean cosine when each cluster is centered, as `cluster_isotropy_estimate` does."""
    return cluster_isotropy_estimate(points, clusters=clusters, seed=seed).mean_cosine


@torch.no_grad()
def cluster_isotropy_estimate(
    points: Points, *, clusters: Sequence[int] = CLUSTERS, seed: int = 0
) -> ClusterIsotropy:
    """Return the clusters of the cloud and its mean cosine after each is centered; it has no gradient.

    A point at the center of its cluster (to rounding) has no direction and is left out of the cosine,
    which is nan without two others. Fewer than three points, and coincident ones, are one cluster with
    silhouette nan. Numbers of clusters that the points can not fill are not tried.

    Args:
        points: of shape (n, d).
        clusters: the numbers of clusters to try, each at least 2; with none there is one cluster.
        seed: of the sample and of the starts of k-means.

    Raises:
        ValueError: if a number of clusters is below 2.
    """
    if any(k < 2 for k in clusters):
        raise ValueError(f"clusters are numbers to try, each at least 2, got {min(clusters)}")
    rows = centered(points)
    size = rows.abs().amax() if len(rows) else rows.new_zeros(())
    rows = rows / torch.where(size > 0, size, 1)
    centers, silhouette = _best_centers(_sample(rows, seed), sorted(set(clusters)), seed)
    labels = _nearest(rows, centers)
    spread = centered_within(rows, labels)
    away = spread.abs().amax(dim=1, keepdim=True) > ROUNDING
    return ClusterIsotropy(
        clusters=rows.new_tensor(int(labels.max()) + 1 if len(rows) else math.nan).to(points.dtype),
        silhouette=rows.new_tensor(silhouette).to(points.dtype),
        mean_cosine=mean_cosine(torch.where(away, spread, 0)).to(points.dtype),
        labels=labels,
    )


def _sample(rows: Points, seed: int) -> Float[Tensor, "sample d"]:
    """Return at most SAMPLE rows, in an order that depends on where they are and not on where they stand."""
    random = np.random.default_rng(seed)
    ties = rows @ torch.from_numpy(random.normal(size=rows.shape[1])).to(rows)
    order = ties.argsort(stable=True)
    distances = torch.linalg.vector_norm(rows, dim=1).round(decimals=DIGITS)
    order = order[distances[order].argsort(stable=True)]
    if len(order) > SAMPLE:
        drawn = np.sort(random.choice(len(order), SAMPLE, replace=False))
        order = order[torch.from_numpy(drawn).to(order.device)]
    return rows[order]


def _best_centers(
    sample: Points, clusters: Sequence[int], seed: int
) -> tuple[Float[Tensor, "centers d"], float]:
    """Return the centers with the best silhouette, and the silhouette; one center if it is not clear."""
    one, silhouette = sample.new_zeros(1, sample.shape[1]), math.nan
    best = one
    if len(sample) < 3 or not bool(sample.any()):
        return one, silhouette
    distinct = len(distinct_rows(sample)[0])
    filled = [k for k in clusters if k <= distinct and k < len(sample)]  # a silhouette needs a cluster of two
    distances = torch.cdist(sample, sample, compute_mode="donot_use_mm_for_euclid_dist")
    starts = _starts(distances, max(filled, default=1), seed)
    for k in filled:
        found = _k_means(sample, sample[starts[:, :k]])
        if found is None:
            continue
        centers, labels = found
        score = _mean_silhouette(distances, labels)
        if not score <= silhouette:
            best, silhouette = centers, score
    return (best if silhouette >= CLEAR else one), silhouette


def _starts(distances: Float[Tensor, "n n"], k: int, seed: int) -> Int64[Tensor, "starts k"]:
    """Return STARTS choices of k distinct points by k-means++; the first of a choice serve fewer clusters."""
    random = torch.from_numpy(np.random.default_rng(seed).random((k, STARTS))).to(distances)
    chosen = [(random[0] * len(distances)).long()]
    nearest = distances[chosen[0]].square()
    for share in random[1:]:
        sums = nearest.cumsum(dim=1)
        found = torch.searchsorted(sums, (share * sums[:, -1])[:, None], right=True)[:, 0]
        last = (nearest > 0).long().cumsum(dim=1).argmax(dim=1)  # where rounding runs beyond the sum
        chosen.append(torch.minimum(found, last))
        nearest = torch.minimum(nearest, distances[chosen[-1]].square())
    return torch.stack(chosen, dim=1)


def _k_means(
    sample: Points, starts: Float[Tensor, "starts k d"]
) -> tuple[Float[Tensor, "k d"], Int64[Tensor, " n"]] | None:
    """Return centers and labels of the start with the least spread; None if all starts lost a cluster.

    All starts go on together, so that each step is two matrix products.
    """
    count, k, d = starts.shape
    centers = starts
    lost = torch.zeros(count, dtype=torch.bool, device=sample.device)
    for step in range(STEPS + 1):
        products = (sample @ centers.reshape(count * k, d).T).reshape(len(sample), count, k)
        squares = centers.square().sum(dim=2) - 2 * products  # and the square of the point, the same for all
        nearest, labels = squares.min(dim=2)
        members = torch.nn.functional.one_hot(labels, k).to(sample.dtype)
        sizes = members.sum(dim=0)
        lost |= (sizes == 0).any(dim=1)
        if step < STEPS:
            sums = (members.reshape(len(sample), count * k).T @ sample).reshape(count, k, d)
            centers = sums / sizes.clamp(min=1)[:, :, None]
    if bool(lost.all()):
        return None
    best = torch.where(lost, math.inf, nearest.sum(dim=0)).argmin()
    return centers[best], labels[:, best]


def _mean_silhouette(distances: Float[Tensor, "n n"], labels: Int64[Tensor, " n"]) -> float:
    """Return the mean of (b - a) / max(a, b): mean distances to the own cluster, and to the nearest other.

    A point alone in its cluster has silhouette 0, and so has one at distance 0 from both.
    """
    members = torch.nn.functional.one_hot(labels).to(distances.dtype)
    sizes = members.sum(dim=0)
    sums = distances @ members
    own = (sums * members).sum(dim=1) / (sizes[labels] - 1).clamp(min=1)
    other = (sums / sizes).masked_fill(members.bool(), math.inf).amin(dim=1)
    larger = torch.maximum(own, other)
    silhouettes = torch.where(larger > 0, (other - own) / torch.where(larger > 0, larger, 1), 0)
    return float(torch.where(sizes[labels] > 1, silhouettes, 0).mean())


def _nearest(rows: Points, centers: Float[Tensor, "k d"]) -> Labels:
    """Return for each row the number of the closest center; numbers without a row are closed up."""
    squares = torch.addmm(centers.square().sum(dim=1), rows, centers.T, alpha=-2)
    labels: Labels = torch.unique(squares.argmin(dim=1), return_inverse=True)[1]
    return labels
