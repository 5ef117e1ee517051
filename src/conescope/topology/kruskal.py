"""The minimum spanning tree among candidate edges, by SciPy.

SciPy takes a weight of zero for a missing edge and says nothing about ties, so the edges get their ranks as
weights: 1, 2, 3, ... by length, and of equal lengths in the order in which they are given.
"""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


def tree_of_candidates(edges: Numbers, lengths: NDArray[np.floating], n: int) -> Numbers:
    """Return the rows of `edges`, pairs u < v that connect n points, which form the minimum spanning tree.

    The rows come ascending by length; lengths are not negative. The same pair may be given more than once.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    order = _ascending(lengths)
    first, second = edges[order].T
    graph = coo_array((np.arange(1.0, len(order) + 1), (first, second)), shape=(n, n))
    graph.has_canonical_format = True  # or else ranks of a pair given twice would be added up
    tree: Numbers = order[np.sort(minimum_spanning_tree(graph.tocsr()).data).astype(np.int64) - 1]
    return tree


def _ascending(lengths: NDArray[np.floating]) -> Numbers:
    """Return the stable order. Numbers of 64 bits that hold length and place sort several times faster."""
    if lengths.dtype != np.float32 or len(lengths) >= 1 << 32:
        return np.argsort(lengths, kind="stable")
    keys = (lengths + np.float32(0)).view(np.uint32).astype(np.uint64) << np.uint64(32)  # without -0
    keys |= np.arange(len(lengths), dtype=np.uint64)
    keys.sort()
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
