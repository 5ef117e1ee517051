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
from conescope.topology.compiled import compiled_in_training
from conescope.topology.dense import dense_tree
from conescope.topology.light import Progress, light_tree
from conescope.topology.prim import Prim, prim
from conescope.topology.products import products
from conescope.topology.spanning import minimum_spanning_edges

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
        if (loop := _prim_for(points, len(points))) is not None:
            check_finite(points)
            trees, certain = _by_prim(loop, products(points[None]), points.shape[1], None)
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


@torch.no_grad()
def padded_edges(
    points: Float[Tensor, "*clouds_or_all d"],
    present: Bool[Tensor, "clouds n"] | None = None,
    members: Int64[Tensor, "clouds n"] | None = None,
) -> Edges:
    """Return the edges of the minimum spanning tree of the present points of each padded cloud.

    A cloud of c points has c - 1 edges, ascending by pair; the rest of its n - 1 rows are (0, 0).

    Args:
        points: of clouds of one size, or all points, one a row, if there are `members`.
        present: which of the points there are, None for all.
        members: the rows of each cloud. Edges are between places within a cloud all the same.
    """
    n = points.shape[1] if members is None else members.shape[1]
    waits = points.is_cpu and not torch.compiler.is_compiling()
    if present is not None and waits and bool(present.all()):
        present = None  # clouds of one size: nothing to blank out
    distances = products(points, present, members)
    if (loop := _prim_for(points, n)) is not None:
        return _by_prim(loop, distances, points.shape[-1], present)[0]
    squares = distances.diagonal(dim1=1, dim2=2).clone()
    distances.mul_(-2).add_(squares[:, None, :]).add_(squares[:, :, None])
    distances = torch.maximum(distances, distances.mT).clamp_(min=0)  # to the bit, a product is not symmetric
    if present is not None:
        distances.masked_fill_(~(present[:, :, None] & present[:, None, :]), torch.inf)
    numbers = minimum_spanning_edges(distances)
    numbers = numbers.masked_fill(numbers == n * n, 0)
    return torch.stack([numbers // max(n, 1), numbers % max(n, 1)], dim=-1)


def _prim_for(points: Clouds, size: int) -> Prim | None:
    """Return the compiled loop if it pays: for small clouds whose gradient is wanted, as in training."""
    return compiled_in_training(prim, points) if size <= FEW else None


def _by_prim(
    loop: Prim, gram: Float[Tensor, "clouds n n"], d: int, present: Bool[Tensor, "clouds n"] | None
) -> tuple[Edges, Bool[Tensor, " clouds"]]:
    """Return the edges of `padded_edges`, and whether products in float64 are enough to tell them."""
    there = np.ones(gram.shape[:2], dtype=np.bool_) if present is None else present.numpy()
    roundoff = (2 * d + 24) * 2.0**-53  # the bound of `dense`, in float64
    edges, certain = loop(gram.numpy(), there, 2 * roundoff)
    return torch.from_numpy(edges), torch.from_numpy(certain)
