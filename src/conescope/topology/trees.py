"""The minimum spanning tree of each cloud, by the way that suits its size and device.

    many small clouds     Boruvka's algorithm on all of their matrices at once: static shapes, and nothing
                          that waits for an accelerator, so it can be compiled and captured
    the same, in training Prim's algorithm in a compiled loop, on a CPU, where numba is installed (`prim`)
    labels on a device    the same on one matrix of all points, without reading how large the classes are
    one cloud, some 1000  one matrix that shrinks as components merge (`dense`)
    one larger cloud      one look at every pair, in blocks (`light`)

`padded_edges` does not check contents.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from conescope._check import check_finite
from conescope._copies import distinct_rows
from conescope._types import Edges, Lengths, Points
from conescope.topology.compiled import Loop, compiled_in_training
from conescope.topology.dense import dense_tree
from conescope.topology.differences import Differences, squared_differences
from conescope.topology.light import Progress, light_tree
from conescope.topology.placing import placed
from conescope.topology.prim import prim
from conescope.topology.products import products
from conescope.topology.spanning import minimum_spanning_edges

ALONE = 192  # points from which on a cloud of a batch is better off alone
PAIRS = 1 << 14  # up to which a compiled loop measures them one by one
FEW = 96  # points up to which a compiled loop, if there is one, is faster than rounds over the matrix
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
        if _loop_of(squared_differences, points, len(points)) is not None:  # nothing is left to certify
            check_finite(points)
            return padded_edges(points[None])[0]
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
    """Return the edges of `padded_trees`."""
    return padded_trees(points, present, members).edges


class PaddedTrees(NamedTuple):
    """A minimum spanning tree for each of several clouds, ascending by pair."""

    edges: Edges
    lengths: Lengths | None  # without a gradient; None if they were not measured on the way


@torch.no_grad()
def padded_trees(
    points: Float[Tensor, "*clouds_or_all d"],
    present: Bool[Tensor, "clouds n"] | None = None,
    members: Int64[Tensor, "clouds n"] | None = None,
) -> PaddedTrees:
    """Return the minimum spanning tree of the present points of each padded cloud.

    A cloud of c points has c - 1 edges; the rest of its n - 1 rows are (0, 0).

    Args:
        points: of clouds of one size, or all points, one a row, if there are `members`.
        present: which of the points there are, None for all.
        members: the rows of each cloud. Edges are between places within a cloud all the same.
    """
    count, n = points.shape[:2] if members is None else members.shape
    differences = _loop_of(squared_differences, points, n) if count * n * n <= PAIRS else None
    if differences is not None:
        squares = _measured(differences, points, present, members)
    else:
        squares = _multiplied(points, present, members)
    loop = _loop_of(prim, points, n)
    if loop is not None:
        edges, lengths = (torch.from_numpy(each) for each in loop(squares.numpy()))
        return PaddedTrees(edges, None if differences is None else lengths)
    return PaddedTrees(_pairs(minimum_spanning_edges(squares), n), None)


@torch.no_grad()
def forest_edges(points: Points, kinds: Int64[Tensor, " n"]) -> Int64[Tensor, "edges 2"]:
    """Return the edges of the minimum spanning tree of the points of each kind, ascending by pair.

    There are n - 1 rows for n points whatever the kinds are; those that are left over are (0, 0). So no shape
    depends on the data and nothing waits for an accelerator, at the price of products of all pairs.

    Args:
        points: one a row.
        kinds: a number from 0 to n for each.
    """
    n = len(points)
    every = torch.arange(n, device=points.device)
    first = kinds.new_full((n + 1,), n).scatter_reduce(0, kinds, every, "amin")
    rows = placed(points)
    rows = rows - rows[first[kinds]]  # near the origin, wherever the kind lies
    squares = _squares(torch.mm(rows, rows.T)[None])
    squares.masked_fill_(kinds[:, None] != kinds, torch.inf)
    return _pairs(minimum_spanning_edges(squares), n)[0]


def _pairs(numbers: Int64[Tensor, "clouds edges"], n: int) -> Edges:
    """Return the pairs (u, v) of numbers u n + v; (0, 0) for n n."""
    numbers = numbers.masked_fill(numbers == n * n, 0)
    return torch.stack([numbers // max(n, 1), numbers % max(n, 1)], dim=-1)


def _multiplied(
    points: Tensor, present: Tensor | None, members: Tensor | None
) -> Float64[Tensor, "clouds n n"]:
    """Return squared distances from products."""
    waits = points.is_cpu and not torch.compiler.is_compiling()
    if present is not None and waits and bool(present.all()):
        present = None  # clouds of one size: nothing to blank out
    squares = _squares(products(points, present, members))
    if present is not None:
        squares.masked_fill_(~(present[:, :, None] & present[:, None, :]), torch.inf)
    return squares


def _squares(products: Float64[Tensor, "clouds n n"]) -> Float64[Tensor, "clouds n n"]:
    """Return squared distances, symmetric to the bit, which a product is not, and overwrite the products."""
    norms = products.diagonal(dim1=1, dim2=2).clone()
    products.mul_(-2).add_(norms[:, None, :]).add_(norms[:, :, None])
    return torch.maximum(products, products.mT).clamp_(min=0)


def _measured(
    loop: Differences, points: Tensor, present: Tensor | None, members: Tensor | None
) -> Float64[Tensor, "clouds n n"]:
    """Return squared distances from differences."""
    rows = points.detach().float().reshape(-1, points.shape[-1]).contiguous()
    if members is None:
        members = torch.arange(len(rows)).reshape(points.shape[:2])
    if present is None:
        present = torch.ones(members.shape, dtype=torch.bool)
    return torch.from_numpy(loop(rows.numpy(), members.contiguous().numpy(), present.contiguous().numpy()))


def _loop_of(loop: Loop, points: Tensor, n: int) -> Loop | None:
    """Return the compiled loop if it pays: for small clouds whose gradient is wanted, as in training."""
    if n > FEW or points.dtype == torch.float64:
        return None
    return compiled_in_training(loop, points, any_order=True)
