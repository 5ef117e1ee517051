"""H0 of the Vietoris-Rips filtration: at which distance do the components of a point cloud merge?

Every point is born at 0 and a component dies when it joins another, so the finite bars are the n - 1
edges of the Euclidean minimum spanning tree and one bar lives for ever. Deaths are distances, not
half distances (as in ripser and gudhi).

The tree is chosen without gradient; the lengths are then computed again from the differences of the
end points, and only these carry the gradient, so nothing of size n x n is kept for backward. A bar of
length zero (coincident points) is kept and gets gradient zero.

How exact: small clouds are compared by float64 products of centered points, which tell distances apart
down to about 1e-7 of the radius of the cloud. For larger ones products of less precision choose the
pairs that may matter, with a margin that is proven to be enough, and those are compared by their
differences. Lengths have the rounding of a difference and a norm, nothing else.

Memory: of a small cloud a few n x n matrices; up to 6000 points one in float32, 150 MB; above, the
points a few times over, and blocks of distances.

All functions take, besides the points,

    groups    a label for each point: every group is a cloud of its own
    metric    "euclidean"; "cosine", 1 - cosine of the angle; "precomputed", the points are distances (n, n),
              of which the diagonal does not matter and the entries above it get the gradient
    exact     False: of a cloud of more than 6000 points only a spanning tree of short edges. Then the k-th
              shortest bar is at least as long as the true one, so their sum is an upper bound.
    progress  a function that is told, while one large cloud is worked on, the share that is done

One cloud (n, d) or a batch (batch, n, d) gives a tensor. Groups give a tuple of tensors, by ascending
label, and a list of clouds of any sizes gives a tuple in its order.
"""

from collections.abc import Sequence
from typing import TypeAlias, overload

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._types import Barcode, Clouds, Edges, Labels, Lengths, Points
from conescope.topology.filtration import Metric, Tree, grouped_trees, tree, tree_of_each
from conescope.topology.light import Progress

# Clouds of any sizes, and what comes of them: each has axes of its own, so these have no names.
Ragged: TypeAlias = Sequence[Float[Tensor, "_ _"]]
RaggedEdges: TypeAlias = tuple[Int64[Tensor, "_ 2"], ...]
RaggedLengths: TypeAlias = tuple[Float[Tensor, " _"], ...]
RaggedBarcode: TypeAlias = tuple[Float[Tensor, "_ 2"], ...]


@overload
def h0_edges(
    points: Clouds,
    *,
    groups: None = None,
    metric: Metric = "euclidean",
    exact: bool = True,
    progress: Progress | None = None,
) -> Edges: ...
@overload
def h0_edges(
    points: Points,
    *,
    groups: Labels,
    metric: Metric = "euclidean",
    exact: bool = True,
    progress: Progress | None = None,
) -> RaggedEdges: ...
@overload
def h0_edges(
    points: Ragged,
    *,
    groups: None = None,
    metric: Metric = "euclidean",
    exact: bool = True,
    progress: Progress | None = None,
) -> RaggedEdges: ...
def h0_edges(
    points: Clouds | Ragged,
    *,
    groups: Labels | None = None,
    metric: Metric = "euclidean",
    exact: bool = True,
    progress: Progress | None = None,
) -> Edges | RaggedEdges:
    """Return the edges of the minimum spanning tree: (n - 1, 2) pairs u < v, ascending by length.

    Points of shape (batch, n, d) give (batch, n - 1, 2); edges of groups are numbers of rows of all points.
    Of equal lengths the smaller pair comes first, and among edges that could be exchanged for each other
    the choice depends on the points alone (the smallest pair, up to 6000 points). Without two points there
    is no edge.

    Raises:
        ValueError: if a point is not finite or, for cosines, zero (the row is named, counted through all
            clouds of a batch or list); if the shape is not that of points; if distances are negative or
            not symmetric.

    >>> h0_edges(torch.tensor([[0.0], [7.0], [1.0], [3.0]]))
    tensor([[0, 2],
            [2, 3],
            [1, 3]])
    """
    found = _trees(points, groups, metric, exact, progress)
    return found.edges if isinstance(found, Tree) else tuple(each.edges for each in found)


@overload
def h0_lengths(
    points: Clouds,
    *,
    groups: None = None,
    metric: Metric = "euclidean",
    exact: bool = True,
    progress: Progress | None = None,
) -> Lengths: ...
@overload
def h0_lengths(
    points: Points,
    *,
    groups: Labels,
    metric: Metric = "euclidean",
    exact: bool = True,
    progress: Progress | None = None,
) -> RaggedLengths: ...
@overload
def h0_lengths(
    points: Ragged,
    *,
    groups: None = None,
    metric: Metric = "euclidean",
    exact: bool = True,
    progress: Progress | None = None,
) -> RaggedLengths: ...
def h0_lengths(
    points: Clouds | Ragged,
    *,
    groups: Labels | None = None,
    metric: Metric = "euclidean",
    exact: bool = True,
    progress: Progress | None = None,
) -> Lengths | RaggedLengths:
    """Return the lengths of the n - 1 finite bars, ascending, differentiable in the points.

    Points of shape (batch, n, d) give (batch, n - 1). Bars of length zero are kept. float16 and
    bfloat16 points are computed in float32; the result has their dtype.

    >>> h0_lengths(torch.tensor([[0.0], [7.0], [1.0], [3.0]]))
    tensor([1., 2., 4.])
    """
    found = _trees(points, groups, metric, exact, progress)
    return found.lengths if isinstance(found, Tree) else tuple(each.lengths for each in found)


@overload
def h0_barcode(
    points: Clouds,
    *,
    groups: None = None,
    metric: Metric = "euclidean",
    exact: bool = True,
    progress: Progress | None = None,
) -> Barcode: ...
@overload
def h0_barcode(
    points: Points,
    *,
    groups: Labels,
    metric: Metric = "euclidean",
    exact: bool = True,
    progress: Progress | None = None,
) -> RaggedBarcode: ...
@overload
def h0_barcode(
    points: Ragged,
    *,
    groups: None = None,
    metric: Metric = "euclidean",
    exact: bool = True,
    progress: Progress | None = None,
) -> RaggedBarcode: ...
def h0_barcode(
    points: Clouds | Ragged,
    *,
    groups: Labels | None = None,
    metric: Metric = "euclidean",
    exact: bool = True,
    progress: Progress | None = None,
) -> Barcode | RaggedBarcode:
    """Return the barcode: n rows (birth, death), finite bars ascending, the last row is (0, inf).

    No points, no bars: the shape is then (0, 2).
    """
    found = _trees(points, groups, metric, exact, progress)
    return _barcode(found) if isinstance(found, Tree) else tuple(_barcode(each) for each in found)


def _barcode(found: Tree) -> Barcode:
    deaths = found.lengths
    if found.n > 0:
        deaths = torch.cat([deaths, deaths.new_full((*deaths.shape[:-1], 1), torch.inf)], dim=-1)
    return torch.stack([torch.zeros_like(deaths), deaths], dim=-1)


def _trees(
    points: Clouds | Ragged,
    groups: Labels | None,
    metric: Metric,
    exact: bool,
    progress: Progress | None,
) -> Tree | list[Tree]:
    if not isinstance(points, Tensor):
        if groups is not None:
            raise ValueError(
                "groups are of one tensor of points; a list already says which cloud a point is in"
            )
        return tree_of_each(points, metric, exact, progress)
    if groups is not None:
        return grouped_trees(points, groups, metric, exact, progress)
    return tree(points, metric, exact, progress)
