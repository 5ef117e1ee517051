"""All but the top, cluster by cluster: each cluster is centered and loses its own strongest directions.

    z = (x - mean_c) - sum_k (u_ck . (x - mean_c)) u_ck,   c the cluster whose center is nearest to x

Since every cluster is moved to the origin, what told the clusters apart is gone: the fix is for tasks in
which clusters are an artifact (such as frequency), not for retrieval across topics.

Reference: Rajaee and Pilehvar (2021), arXiv:2106.01183: 27 clusters and 12 directions for BERT.
"""

from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Int64
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from conescope._types import Points
from conescope.scale.moments import moments
from conescope.transforms.affine import array
from conescope.transforms.all_but_the_top import checked_count, without
from conescope.transforms.directions import Mapped, Vectors, directions
from conescope.transforms.fix import Fix, _tensor

Self = TypeVar("Self", bound="ClusterAllButTheTop")


class ClusterAllButTheTop(OneToOneFeatureMixin, Fix):  # type: ignore[misc]
    """Center each cluster of k-means, and take its strongest directions away. There is no inverse.

    All points must be in memory for the fit: clusters do not come from moments.

    Args:
        n_clusters: how many clusters, at most as many as points.
        n_components: how many directions of each cluster, less than d. Of a cluster of m points at most
            m - 2 are taken, since m - 1 would leave nothing of it.
        random_state: seed of k-means.

    Attributes:
        cluster_centers_: by which points are assigned, shape (clusters, d).
        means_: of the fitted points of each cluster, shape (clusters, d).
        components_: directions taken from each cluster, zeros where fewer are, shape (clusters, D, d).
        removed_: how many are taken from each cluster.
        n_samples_seen_: how many points were fitted, at least 2.
    """

    kind_name = "cluster-all-but-the-top"
    arrays = MappingProxyType(
        {"cluster_centers_": "c d", "means_": "c d", "components_": "c k d", "removed_": "c"}
    )

    def __init__(self, n_clusters: int = 27, n_components: int = 12, random_state: Any = None) -> None:
        self.n_clusters = n_clusters
        self.n_components = n_components
        self.random_state = random_state

    def fit(self: Self, X: Any, y: Any = None) -> Self:
        """Fit to points of shape (n, d).

        Raises:
            ValueError: for NaN and infinity, naming the first row; for fewer points than clusters; for
                n_components that leave no dimension.
        """
        from sklearn.cluster import KMeans

        rows = self._checked(X, reset=True, least=2)
        count = checked_count(self.n_components, rows.shape[1])
        whole = isinstance(self.n_clusters, int | np.integer) and not isinstance(self.n_clusters, bool)
        if not whole or self.n_clusters < 1:
            raise ValueError(f"n_clusters must be a whole number, at least 1, got {self.n_clusters!r}")
        if len(rows) < self.n_clusters:
            raise ValueError(
                f"n_clusters must be at most the number of points, n_samples = {len(rows)}, got "
                f"{self.n_clusters}; take fewer clusters, or more points"
            )
        found = KMeans(self.n_clusters, n_init=1, random_state=self.random_state).fit(rows.astype(np.float64))
        points, centers = _tensor(rows).double(), torch.from_numpy(found.cluster_centers_)
        means = centers.clone()
        components = torch.zeros(len(centers), count, rows.shape[1], dtype=torch.float64)
        removed = np.zeros(len(centers), dtype=np.int64)
        clusters = nearest(points, centers)
        for number in range(len(centers)):
            members = points[clusters == number]
            if len(members) == 0:  # k-means on copies leaves some empty
                continue
            cluster = moments(members)
            assert cluster.scatter is not None  # since the order is 2
            removed[number] = min(count, max(len(members) - 2, 0))
            means[number] = cluster.mean
            components[number, : removed[number]] = directions(cluster.scatter).rows[: removed[number]]
        self.cluster_centers_, self.means_ = array(centers), array(means)
        self.components_, self.removed_ = array(components), removed
        self.n_samples_seen_ = len(rows)
        return self

    def _map(self, rows: Points) -> Mapped:
        return mapped(rows, *(torch.from_numpy(getattr(self, name)) for name in list(self.arrays)[:3]))

    def as_sentence_transformers_module(self) -> Any:
        """Return the fix as a module that stands behind the pooling of a model of sentence-transformers.

        Unlike those of the other fixes it is a class of conescope: who loads the model needs conescope, and
        in sentence-transformers 6 `trust_remote_code=True`.

        Raises:
            NotFittedError: before the fit.
        """
        from conescope.transforms.cluster_module import ClusterFixModule

        check_is_fitted(self)
        return ClusterFixModule(self)


def nearest(rows: Points, centers: Vectors) -> Int64[Tensor, " n"]:
    """Return the number of the nearest center of each row."""
    # |x - c|^2 without |x|^2, which is the same for all centers, and taken from the middle of the centers
    middle = centers.mean(dim=0)
    rows, centers = rows - middle, centers - middle
    return (centers.square().sum(dim=1) - 2 * rows @ centers.T).argmin(dim=1)


def mapped(rows: Points, centers: Vectors, means: Vectors, components: Tensor) -> Points:
    """Return rows less the mean of their cluster and less its directions; differentiable."""
    clusters = nearest(rows.detach(), centers)
    found = torch.zeros_like(rows)
    for number in sorted(set(clusters.tolist())):
        members = (clusters == number).nonzero()[:, 0]
        found = found.index_copy(0, members, without(rows[members] - means[number], components[number]))
    return found
