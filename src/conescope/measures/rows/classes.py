"""Rows of clusters and labels: how do classes share the space?"""

from math import inf

from conescope.measures import isotropic
from conescope.measures.anisotropy import within_class_anisotropy, within_class_anisotropy_from_moments
from conescope.measures.between_class_anisotropy import (
    between_class_anisotropy,
    between_class_anisotropy_from_moments,
)
from conescope.measures.class_separation import class_separation, class_separation_from_moments
from conescope.measures.cluster_isotropy import CLUSTERS, cluster_centered_cosine, cluster_count
from conescope.measures.neural_collapse import neural_collapse, neural_collapse_from_moments
from conescope.measures.row import Measure
from conescope.measures.spectrum import spectrum_length


def one_cluster(n: int, d: int) -> bool:
    """Return whether k-means finds one cluster in a Gaussian; few points or dimensions look clustered."""
    return n >= 40 and d >= 20


ROWS = (
    Measure(
        name="anisotropy_1_within_class",
        function=within_class_anisotropy,
        meaning="variance share of one direction, centered by class",
        bounds=lambda n, d: (1 / spectrum_length(n, d), 1),
        isotropic=isotropic.anisotropy_1,
        better="lower",
        invariant="translation rotation scale permutation duplication class-translation",
        undefined="no class holds two points that differ",
        cost="n d min(n, d)",
        paper="arXiv:2501.05502",
        needs="labels",
        reads="moments",
        finish=within_class_anisotropy_from_moments,
    ),
    Measure(
        name="anisotropy_1_between_class",
        function=between_class_anisotropy,
        meaning="variance share of one direction, of the class means",
        bounds=lambda n, d: (1 / spectrum_length(n, d), 1),
        isotropic=lambda n, d: None,
        better="lower",
        invariant="translation rotation scale permutation duplication",
        undefined="no two class means differ",
        cost="n d + C d min(C, d)",
        paper="arXiv:2501.05502",
        needs="labels",
        reads="moments",
        finish=between_class_anisotropy_from_moments,
        order=1,
    ),
    Measure(
        name="neural_collapse",
        function=neural_collapse,
        meaning="spread within classes over that between (NC1); 0: collapsed",
        bounds=lambda n, d: (0, inf),
        isotropic=lambda n, d: None,
        better="neither",
        invariant="translation rotation scale permutation duplication",
        undefined="no two class means differ",
        cost="n d^2 + C^2 d",
        paper="arXiv:2008.08186",
        needs="labels",
        reads="moments",
        finish=neural_collapse_from_moments,
    ),
    Measure(
        name="class_separation",
        function=class_separation,
        meaning="share of cosine distances that classes explain (R^2)",
        bounds=lambda n, d: (0, 1),
        isotropic=lambda n, d: None,
        better="neither",
        invariant="rotation scale row-scale permutation duplication",
        undefined="fewer than two classes have a direction, or all directions are the same",
        cost="n d",
        paper="arXiv:2010.16402",
        needs="labels",
        reads="moments",
        finish=class_separation_from_moments,
        order=1,
    ),
    Measure(
        name="cluster_count",
        function=cluster_count,
        meaning="clusters of k-means, by silhouette; 1: none",
        bounds=lambda n, d: (1, min(CLUSTERS[-1], max(n - 1, 1))),
        isotropic=lambda n, d: 1.0 if one_cluster(n, d) else None,
        better="neither",
        invariant="translation rotation scale permutation",
        undefined="there is no point",
        cost="n d k",
        paper="ICLR 2021 (Cai et al.)",
        reads="clusters",
        finish=lambda found: found.clusters,
        differentiable=False,
        jackknife=False,
    ),
    Measure(
        name="cluster_centered_cosine",
        function=cluster_centered_cosine,
        meaning="mean cosine, each cluster centered; near 0 for most clouds",
        bounds=lambda n, d: (-1, 1),
        isotropic=lambda n, d: isotropic.centered_mean_cosine(n, d) if one_cluster(n, d) else None,
        better="neither",
        invariant="translation rotation scale permutation",
        undefined="fewer than two points differ from the center of their cluster",
        cost="n d k",
        paper="ICLR 2021 (Cai et al.)",
        reads="clusters",
        finish=lambda found: found.mean_cosine,
        differentiable=False,
        jackknife=False,
    ),
)
