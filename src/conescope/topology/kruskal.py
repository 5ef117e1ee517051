"""The minimum spanning tree among candidate edges, by SciPy.

SciPy takes a weight of zero for a missing edge and says nothing about ties, so the edges get their ranks as
weights: 1, 2, 3, ... by length, of equal lengths the smaller pair first.
"""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


def tree_of_candidates(edges: Numbers, lengths: NDArray[np.floating], n: int) -> Numbers:
    """Return the rows of `edges`, pairs u < v that connect n points, which form the minimum spanning tree.

    The rows come ascending by length, of equal lengths the smaller pair first. The same pair may be given
    more than once.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    order = np.argsort(lengths, kind="stable")
    ascending = lengths[order]
    if (ascending[1:] == ascending[:-1]).any():
        order = np.lexsort((edges[:, 1], edges[:, 0], lengths))
    first, second = edges[order].T
    graph = coo_array((np.arange(1.0, len(order) + 1), (first, second)), shape=(n, n))
    graph.has_canonical_format = True  # or else lengths of pairs given twice would be added up
    tree: Numbers = order[np.sort(minimum_spanning_tree(graph.tocsr()).data).astype(np.int64) - 1]
    return tree
