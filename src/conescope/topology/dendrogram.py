"""Single linkage: the order in which points merge, read off the minimum spanning tree."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Edges, Lengths, Points
from conescope.topology.lengths import edge_lengths
from conescope.topology.merging import merged_pairs
from conescope.topology.rips import h0_edges


def dendrogram(points: Points) -> Float[Tensor, "merges 4"]:
    """Return single linkage in the format of `scipy.cluster.hierarchy.linkage`: n - 1 rows in float64.

    Row k joins clusters Z[k, 0] < Z[k, 1] at distance Z[k, 2] into cluster n + k of Z[k, 3] points; numbers
    below n are points. Distances are the bars of H0, ascending. Fewer than two points have no row.

    >>> dendrogram(torch.tensor([[0.0], [7.0], [1.0], [3.0]]))
    tensor([[0., 2., 1., 2.],
            [3., 4., 2., 3.],
            [1., 5., 4., 4.]], dtype=torch.float64)
    """
    edges = h0_edges(points)
    return linkage_of_edges(edges, edge_lengths(points.detach(), edges))


def linkage_of_edges(edges: Edges, lengths: Lengths) -> Float[Tensor, "merges 4"]:
    """Return `dendrogram` of the points whose minimum spanning tree has these edges, ascending by length."""
    from scipy.cluster.hierarchy import from_mlab_linkage

    if len(edges) == 0:
        return torch.zeros(0, 4, dtype=torch.float64)
    pairs = merged_pairs(edges.cpu().numpy())
    heights = lengths.detach().double().cpu().numpy()[:, None]
    return torch.from_numpy(from_mlab_linkage(np.hstack([pairs + 1, heights])))  # it counts from 1
