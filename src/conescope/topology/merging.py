"""The tree of merges behind a minimum spanning tree, and the order of its leaves.

Taking the edges of the tree from the shortest to the longest, each joins two groups of points. This tree of
merges is found without a loop over points, by contraction (Sao, Prokopenko, Lebrun-Grandie 2024,
arXiv:2401.06089): an edge that is the shortest at one of its ends joins a single point to something, so such
edges form chains; with them contracted, at most half of the tree is left, and so on. An edge belongs to the
chain below the shortest edge that leaves the contracted point it lies in, as soon as that one is longer.
"""

from typing import NamedTuple

import numpy as np

from conescope.topology.kruskal import Numbers


class LeafOrder(NamedTuple):
    """Points in an order in which the longest edge between two is the greatest of the gaps between them."""

    points: Numbers  # of shape (n,): which point stands where
    gaps: Numbers  # of shape (n - 1,): the edge, by number, between neighbors in the order


def leaf_order(edges: Numbers) -> LeafOrder:
    """Return the order of the leaves of the dendrogram of n >= 2 points, from edges ascending by length."""
    from scipy.cluster.hierarchy import from_mlab_linkage, leaves_list

    count = len(edges)
    pairs = merged_pairs(edges)
    linkage = from_mlab_linkage(np.hstack([pairs + 1, np.arange(count)[:, None]]).astype(float))
    points = leaves_list(linkage).astype(np.int64)
    leftmost = np.concatenate([np.arange(count + 1), pairs[:, 0]])
    while (further := leftmost[leftmost]).tobytes() != leftmost.tobytes():
        leftmost = further
    place = np.empty_like(points)
    place[points] = np.arange(count + 1)
    gaps = np.empty(count, dtype=np.int64)
    gaps[place[leftmost[pairs[:, 1]]] - 1] = np.arange(count)  # left of where the right part begins
    return LeafOrder(points, gaps)


def merged_pairs(edges: Numbers) -> Numbers:
    """Return for each edge, ascending by length, the two clusters it joins; cluster n + k is of edge k."""
    count = len(edges)
    parent_of_point, parent_of_edge = _parents(edges)
    parents = np.concatenate([parent_of_point, parent_of_edge])
    pairs: Numbers = np.argsort(parents, kind="stable")[: 2 * count].reshape(count, 2)  # the root comes last
    return pairs


def _parents(edges: Numbers) -> tuple[Numbers, Numbers]:
    """Return for each point, and for each edge, the edge that merges it next; at the root their number."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(edges)
    ends, alive = edges.T, np.arange(count)  # edges between contracted points
    climbing = place = np.empty(0, dtype=np.int64)  # contracted edges without a chain yet, and where they lie
    chain = np.empty(count, dtype=np.int64)
    tops: list[Numbers] = []  # the edge above each chain: one a contracted point of each level
    chains, size = 0, count + 1
    while True:
        shortest = np.full(size, count)
        np.minimum.at(shortest, ends.ravel(), np.tile(alive, 2))
        below = climbing < shortest[place]
        chain[climbing[below]] = chains + place[below]
        chains += size
        tops.append(shortest)
        if size == 1:
            break
        contracted = np.isin(alive, shortest, assume_unique=False)
        first, second = ends[:, contracted]
        graph = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(size, size))
        size, group = connected_components(graph, directed=False)
        group = group.astype(np.int64)
        climbing = np.concatenate([climbing[~below], alive[contracted]])
        place = group[np.concatenate([place[~below], first])]
        ends, alive = group[ends[:, ~contracted]], alive[~contracted]
    order = np.argsort(chain, kind="stable")
    above = np.concatenate(tops)[chain[order]]
    same = chain[order[1:]] == chain[order[:-1]]
    above[:-1][same] = order[1:][same]
    parent = np.empty(count, dtype=np.int64)
    parent[order] = above
    return tops[0], parent
