"""The minimum spanning tree of each cloud, by the way that suits its size and device.

    many small clouds     Boruvka's algorithm on all of their matrices at once: static shapes, and nothing
                          that waits for an accelerator, so it can be compiled and captured
    the same, in training Prim's algorithm in a compiled loop, on a CPU, where numba is installed (`prim`)
    one cloud, some 1000  one matrix that shrinks as components merge (`dense`)
    one larger cloud      one look at every pair, in blocks (`light`)

`padded_edges` does not check contents.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from conescope._check import check_finite
from conescope._copies import distinct_rows
from conescope._types import Clouds, Edges, Points
from conescope.topology.dense import dense_tree
from conescope.topology.lengths import edge_lengths_of_clouds
from conescope.topology.light import Progress, light_tree
from conescope.topology.placing import placed
from conescope.topology.prim import Prim, compiled_prim
from conescope.topology.spanning import minimum_spanning_edges

TOGETHER = 1 << 18  # coordinates that are multiplied at a time on a CPU: as float64 they stay in its cache
ALONE = 192  # points from which on a cloud of a batch is better off alone
FEW = 128  # points up to which a compiled loop, if there is one, is faster than rounds over the matrix
LARGE = 6144  # points from which on its matrix is not held


@torch.no_grad()
def spanning_edges(
    points: Points, *, exact: bool = True, progress: Progress | None = None
) -> Int64[Tensor, "edges 2"]:
    """Return the edges u < v of the minimum spanning tree of one cloud, ascending by pair.

    If it need not be exact, the tree of a large cloud is made of short edges, but not of the shortest.

    Raises:
        ValueError: if a point is not finite.
    """
    with torch.autocast(points.device.type, enabled=False):
        if len(points) >= LARGE or not points.is_cpu:
            check_finite(points)  # `dense_tree` does it by itself
        if (prim := _prim_for(points)) is not None:
            check_finite(points)
            trees, certain = _by_prim(prim, points[None], None)
            if certain.all():
                return trees[0]
        firsts, copies = _copies(points) if len(points) >= LARGE else (None, None)
        if firsts is None or copies is None:
            edges = _dense(points)
            if edges is not None:
                return edges
            firsts, copies = _copies(points)
        distinct = points[firsts] if len(copies) else points
        if len(distinct) >= LARGE:
            edges = light_tree(distinct, exact=exact, progress=progress)
        else:
            edges = _dense(distinct)
            edges = padded_edges(distinct[None])[0] if edges is None else edges
        return _ascending(torch.cat([firsts[edges], copies]))


def _ascending(edges: Int64[Tensor, "edges 2"]) -> Int64[Tensor, "edges 2"]:
    return edges[((edges[:, 0] << 32) | edges[:, 1]).argsort()]


def _dense(points: Points) -> Int64[Tensor, "edges 2"] | None:
    """Return the tree from one matrix; None if that can not tell the distances apart."""
    return dense_tree(points) if points.is_cpu else padded_edges(points[None])[0]


def _copies(points: Points) -> tuple[Int64[Tensor, " distinct"], Int64[Tensor, "copies 2"]]:
    """Return the first point of each kind, as they come, and an edge from it to every other of its kind."""
    distinct, kind = distinct_rows(points)
    every = torch.arange(len(points), device=points.device)
    first = torch.full_like(every[: len(distinct)], len(points)).scatter_reduce(0, kind, every, "amin")
    copies = every[first[kind] != every]
    return first.sort().values, torch.stack([first[kind[copies]], copies], dim=1)


def spanning_trees(
    clouds: Float[Tensor, "clouds n d"], present: Bool[Tensor, "clouds n"]
) -> tuple[Edges, Float[Tensor, "clouds bars"]]:
    """Return the minimum spanning tree of the present points of each padded cloud: edges and lengths.

    A cloud of c points has c - 1 edges, ascending by pair; the rest of its n - 1 rows are (0, 0) with length
    0 and no gradient. Lengths are float32, or float64 for float64 points.
    """
    edges = padded_edges(clouds, present)
    return edges, edge_lengths_of_clouds(clouds, edges)


@torch.no_grad()
def padded_edges(
    clouds: Float[Tensor, "clouds n d"], present: Bool[Tensor, "clouds n"] | None = None
) -> Edges:
    """Return the edges of `spanning_trees`; all points are present if nothing else is said."""
    n = clouds.shape[1]
    waits = clouds.is_cpu and not torch.compiler.is_compiling()
    if present is not None and waits and bool(present.all()):
        present = None  # clouds of one size: nothing to blank out
    if (prim := _prim_for(clouds)) is not None:
        return _by_prim(prim, clouds, present)[0]
    distances = _products(clouds, present)
    squares = distances.diagonal(dim1=1, dim2=2).clone()
    distances.mul_(-2).add_(squares[:, None, :]).add_(squares[:, :, None])
    distances = torch.maximum(distances, distances.mT).clamp_(min=0)  # to the bit, a product is not symmetric
    if present is not None:
        distances.masked_fill_(~(present[:, :, None] & present[:, None, :]), torch.inf)
    numbers = minimum_spanning_edges(distances)
    numbers = numbers.masked_fill(numbers == n * n, 0)
    return torch.stack([numbers // max(n, 1), numbers % max(n, 1)], dim=-1)


def _prim_for(points: Clouds) -> Prim | None:
    """Return the compiled loop if it pays: for small clouds whose gradient is wanted, as in training.

    A call or two would not make up for the import of numba, or for compiling.
    """
    trained = points.requires_grad and points.is_cpu and not torch.compiler.is_compiling()
    return compiled_prim() if trained and points.shape[-2] <= FEW else None


def _by_prim(
    prim: Prim, clouds: Float[Tensor, "clouds n d"], present: Bool[Tensor, "clouds n"] | None
) -> tuple[Edges, Bool[Tensor, " clouds"]]:
    """Return the edges of `spanning_trees`, and whether products in float64 were enough to tell."""
    products = _products(clouds, present).numpy()
    there = np.ones(clouds.shape[:2], dtype=np.bool_) if present is None else present.numpy()
    roundoff = (2 * clouds.shape[2] + 24) * 2.0**-53  # the bound of `dense`, in float64
    edges, certain = prim(products, there, 2 * roundoff)
    return torch.from_numpy(edges), torch.from_numpy(certain)


def _products(
    clouds: Float[Tensor, "clouds n d"], present: Bool[Tensor, "clouds n"] | None
) -> Float[Tensor, "clouds n n"]:
    """Return the float64 products of the points of each cloud, which are placed near the origin."""
    count, n, d = clouds.shape
    waits = clouds.is_cpu and not torch.compiler.is_compiling()
    if not waits:
        rows = placed(clouds, present)
        return torch.bmm(rows, rows.mT)
    height = max(TOGETHER // max(n * d, 1), 1)
    products = torch.empty(count, n, n, dtype=torch.float64)
    held = torch.empty(min(height, count), n, d, dtype=torch.float64)
    for start in range(0, count, height):
        part = slice(start, min(start + height, count))
        of = None if present is None else present[part]
        rows = placed(clouds[part], of, held[: part.stop - start])
        torch.bmm(rows, rows.mT, out=products[part])
    return products
