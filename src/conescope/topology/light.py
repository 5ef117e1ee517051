"""The minimum spanning tree of a large cloud, exact, with one look at every pair and no matrix of them.

1. A first tree: points are put in order by the nearest of some pivots, neighbors in this order are joined by
   the tree of their block, and Kruskal's algorithm makes one spanning tree of all blocks.
2. In the order of the leaves of its dendrogram, the longest edge between two points of the tree is the
   greatest of the gaps between them, g[i], ..., g[j - 1]. A pair that is not shorter than that can not
   improve the tree (the cycle property; the others are the "light" edges of Karger, Klein, Tarjan 1995).
3. Products of blocks, each pair once, give lower bounds of all distances; most blocks are done with when the
   least of 16 of them is compared. For block rows i left of block columns j, the bound that a pair must be
   below is max(R[i], C[j]): the greatest gap from i to the end of the rows, and from there to j.
4. Pairs that may be light are measured from differences, and Kruskal's algorithm takes the best tree of the
   light ones and the first.

The first tree need not be good, only spanning: a bad one leaves more pairs to measure. When these are many,
the tree is brought up to date on the way, and one that improves much begins a new order.

`factors` says why products of low precision lose no pair.

Memory: the points a few times over, a block of products, and the light pairs that wait.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from conescope._types import Points
from conescope.topology.dense import rough_tree
from conescope.topology.factors import Factors, factors_of
from conescope.topology.kruskal import Numbers, tree_of_candidates
from conescope.topology.merging import leaf_order
from conescope.topology.placing import ORDINARY, centered_single, ordinary

Lengths = NDArray[np.floating]
Progress = Callable[[float], None]  # told the share of the pairs that have been looked at

BLOCK = 1024  # rows of a block; a power of two
GROUP = 16  # rows whose least distance is compared first
ENTRIES = 1 << 22  # products held at a time
GATHERED = 1 << 20  # coordinates gathered at a time
CELL = 16  # points a pivot
PIVOTS = 2048
MANY = 32  # pairs a point that are measured before the tree is brought up to date
PARTS = (1 << 14,)  # places of parts of the order that are treated by themselves first
BETTER = 0.999  # times the sum of the lengths: a tree worth a new order
AGAIN = 3  # new orders at most
ENLARGED = 2.0**500  # times less than 1 / ORDINARY: a float64 with a square


class Tree(NamedTuple):
    """A spanning tree, ascending by length."""

    edges: Numbers  # of shape (n - 1, 2)
    lengths: Lengths


@torch.no_grad()
def light_tree(
    points: Points, *, exact: bool = True, progress: Progress | None = None
) -> Int64[Tensor, "edges 2"]:
    """Return the edges u < v of the minimum spanning tree, ascending by length.

    If it need not be exact, only pairs in the same block of the order are looked at.

    For distinct finite points, at least two. Lengths are compared as `edge_lengths` computes them; of equal
    ones it depends on the points, and on nothing else, which is taken.
    """
    points = ordinary(points)
    centered = centered_single(points)
    tree = first_tree(points, centered)
    n = len(points)
    factors = factors_of(centered)
    widths = [*(width for width in PARTS if 2 * width <= n), n] if exact else [BLOCK]
    rising = None if progress is None else _rising(progress)
    for width in widths:
        for turn in range(AGAIN + 1):
            search = _Search(points, factors, tree, width, rising if width == widths[-1] else None)
            tree, done = search.run(may_stop=turn < AGAIN)
            if done:
                break
    return torch.from_numpy(tree.edges).to(points.device)


def _rising(progress: Progress) -> Progress:
    """Return the same, but when a new order begins, it is told nothing less than before."""
    highest = 0.0

    def told(share: float) -> None:
        nonlocal highest
        highest = max(highest, share)
        progress(highest)

    return told


def first_tree(points: Points, centered: Float[Tensor, "n d"]) -> Tree:
    """Return a spanning tree whose edges are short: from trees of blocks and stars around pivots."""
    n = len(points)
    order, stars = _by_pivots(points, centered)
    found = [order[start : start + BLOCK] for start in range(0, n, BLOCK)]
    blocks = [block[rough_tree(centered[block])] for block in found]
    edges = torch.cat([stars, *blocks]).sort(dim=1).values
    return _best(edges, measured(points, edges), n, None)


def _by_pivots(
    points: Points, centered: Float[Tensor, "n d"]
) -> tuple[Int64[Tensor, " n"], Int64[Tensor, "edges 2"]]:
    """Return the points in order of their nearest pivots, and the edges to these, and the tree of the pivots.

    Pivots are points drawn at random, in the order of the leaves of their own tree.
    """
    n = len(points)
    count = max(min(n // CELL, PIVOTS), 1)
    chosen = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:count].to(points.device)
    pivots = centered[chosen]
    half = pivots.square().sum(dim=1) / 2
    parts = torch.split(centered, _height(count))
    nearest = torch.cat([(part @ pivots.T).sub_(half).argmax(dim=1) for part in parts])
    every = torch.arange(n, device=points.device)
    nearest[chosen] = every[:count]
    stars = torch.stack([every, chosen[nearest]], dim=1)
    if count == 1:
        return every, stars[every != chosen]
    edges = rough_tree(pivots)
    tree = _best(edges, measured(pivots, edges), count, None)
    place = torch.from_numpy(np.argsort(leaf_order(tree.edges).points)).to(points.device)
    between = chosen[torch.from_numpy(tree.edges).to(points.device)]
    return place[nearest].argsort(stable=True), torch.cat([stars[every != stars[:, 1]], between])


def _best(
    edges: Int64[Tensor, "edges 2"], lengths: Float[Tensor, " edges"], n: int, known: Tree | None
) -> Tree:
    """Return the minimum spanning tree of these edges u < v, and those known."""
    pairs, weights = edges.cpu().numpy(), lengths.cpu().numpy()
    if known is not None:
        pairs, weights = np.concatenate([known.edges, pairs]), np.concatenate([known.lengths, weights])
    taken = tree_of_candidates(pairs, weights, n)
    return Tree(pairs[taken], weights[taken])


def measured(points: Points, edges: Int64[Tensor, "edges 2"]) -> Float[Tensor, " edges"]:
    """Return lengths as `edge_lengths` does, some at a time, in memory that is used again."""
    height = max(GATHERED // points.shape[1], 1)
    ends = [points.new_empty(min(height, len(edges)), points.shape[1]) for _ in range(2)]
    lengths = points.new_empty(len(edges))
    for part, out in zip(torch.split(edges, height), torch.split(lengths, height), strict=True):
        one, other = (torch.index_select(points, 0, part[:, k], out=ends[k][: len(part)]) for k in range(2))
        torch.linalg.vector_norm(one.sub_(other), dim=1, out=out)
    short = (lengths < 1 / ORDINARY).nonzero()[:, 0]
    if len(short):  # squares that leave the range
        one, other = (points[edges[short, k]].double() for k in range(2))
        lengths[short] = (torch.linalg.vector_norm((one - other) * ENLARGED, dim=1) / ENLARGED).to(lengths)
    return lengths


class _Light(NamedTuple):
    """Light pairs, by their places in the order."""

    pairs: Int64[Tensor, "pairs 2"]
    lengths: Float[Tensor, " pairs"]


class _Search:
    """One look at all pairs that lie in the same part of the order of a tree."""

    def __init__(
        self, points: Points, factors: Factors, tree: Tree, width: int, progress: Progress | None
    ) -> None:
        order = leaf_order(tree.edges)
        self.tree = tree
        self.n, self.width, self.progress = len(points), width, progress
        self.order = torch.from_numpy(order.points).to(points.device)
        self.points = points[self.order]
        self.factors = factors.ordered(self.order, BLOCK)
        gaps = torch.from_numpy(tree.lengths[order.gaps]).to(points.device)
        self.gaps = torch.cat([gaps, gaps.new_zeros(len(self.factors.error) - len(gaps))])
        # lengths are rounded, by less than this share of their squares
        self.rounded = 1 + (points.shape[1] + 8) * torch.finfo(points.dtype).eps
        self.products = self.factors.left.new_empty(ENTRIES)
        self.light: list[_Light] = []
        self.measured = 0  # pairs

    def run(self, *, may_stop: bool) -> tuple[Tree, bool]:
        """Return the best tree found, and whether all pairs have been looked at."""
        before = self.tree.lengths.sum(dtype=np.float64)
        seen, total = 0.0, self.n * min(self.width, self.n) / 2
        for pairs in self._looks():
            seen += pairs
            if self.progress is not None:
                self.progress(min(seen / total, 1.0))
            if self.measured > MANY * self.n:
                self._settle()
                if (
                    may_stop
                    and seen < total / 2
                    and self.tree.lengths.sum(dtype=np.float64) < BETTER * before
                ):
                    return self.tree, False
        self._settle()
        return self.tree, True

    def _settle(self) -> None:
        """Take the best tree of the light pairs and the one before."""
        if not self.light:  # nothing since the last time
            return
        pairs, lengths = (torch.cat(parts) for parts in zip(*self.light, strict=True))
        edges = self.order[pairs].sort(dim=1).values
        self.tree = _best(edges, lengths, self.n, self.tree)
        self.light, self.measured = [], 0

    def _measure(self, rows: Tensor, columns: Tensor, bounds: Tensor) -> None:
        """Keep the pairs that are shorter than their bounds."""
        self.measured += len(rows)
        pairs = torch.stack([rows, columns], dim=1)
        lengths = measured(self.points, pairs)
        below = lengths < bounds
        self.light.append(_Light(pairs[below], lengths[below]))

    def _looks(self) -> Iterator[float]:
        """Look at all pairs, block by block, and yield how many each time."""
        self._within_groups()
        yield self.n * GROUP / 2
        size = GROUP
        while size < BLOCK:
            yield from self._within_blocks(size)
            size *= 2
        for start in range(0, self.n, BLOCK):
            end = start + BLOCK
            last = min((start // self.width + 1) * self.width, self.n)
            for left in range(end, last, ENTRIES // BLOCK):
                right = min(left + ENTRIES // BLOCK, last)
                self._look(start, end, left, right)
                yield BLOCK * (right - left)

    def _within_groups(self) -> None:
        """Look at all pairs of each GROUP of neighbors in the order."""
        factors = self.factors
        left, right = (side.view(-1, GROUP, side.shape[1]) for side in (factors.left, factors.right))
        places = torch.arange(len(factors.error), device=self.order.device).view(-1, GROUP)
        gaps = self.gaps.view(-1, 1, GROUP).expand(-1, GROUP, -1)
        crossed = torch.ones(GROUP, GROUP, dtype=torch.bool, device=gaps.device).triu()
        greatest = gaps.where(crossed, 0).cummax(dim=2).values[:, :, :-1]  # from i to beyond j
        limits = self.factors.limit(
            greatest.flatten(1), places.repeat_interleave(GROUP - 1, dim=1), places, self.rounded
        )
        near = torch.bmm(left, right.mT)[:, :, 1:] > limits.view(greatest.shape)
        group, i, j = (near & crossed[:, :-1]).nonzero().T
        self._measure(places[group, i], places[group, j + 1], greatest[group, i, j])

    def _within_blocks(self, size: int) -> Iterator[float]:
        """Look at the pairs between the halves of stretches of 2 * size places."""
        stretches = len(self.factors.left) // (2 * size)
        each = max(ENTRIES // size**2, 1)
        left = self.factors.left.view(stretches, 2, size, -1)[:, 0]
        right = self.factors.right.view(stretches, 2, size, -1)[:, 1]
        for begin in range(0, stretches, each):
            some = slice(begin, begin + each)
            products = torch.bmm(left[some], right[some].mT)
            starts = torch.arange(begin, begin + len(products), device=products.device) * 2 * size
            self._sift(products, starts, starts + size, self.gaps.new_zeros(len(starts)))
            yield products.numel()

    def _look(self, start: int, end: int, left: int, right: int) -> None:
        """Look at the pairs of a block of rows and columns right of it."""
        rows, columns = self.factors.left[start:end], self.factors.right[left:right]
        held = self.products[: BLOCK * (right - left)].view(BLOCK, -1)  # new memory is slow
        products = torch.mm(rows, columns.T, out=held)
        between = torch.cat([self.gaps[end:left], self.gaps.new_zeros(1)]).amax(dim=0, keepdim=True)
        starts = torch.tensor([start, left], device=products.device)
        self._sift(products[None], starts[:1], starts[1:], between)

    def _sift(
        self,
        products: Float[Tensor, "blocks r c"],
        starts: Int64[Tensor, " blocks"],
        lefts: Int64[Tensor, " blocks"],
        between: Float[Tensor, " blocks"],
    ) -> None:
        """Measure the pairs that may be shorter than the greatest gap between them.

        Rows begin at `starts`, columns at `lefts`; `between` is the greatest gap from the place that
        follows the rows to the first column.
        """
        blocks, height, breadth = products.shape
        rows = starts[:, None] + torch.arange(height, device=starts.device)
        columns = lefts[:, None] + torch.arange(breadth, device=starts.device)
        to_end = self.gaps[rows].flip(1).cummax(dim=1).values.flip(1)
        from_end = torch.cat([between[:, None], self.gaps[columns[:, :-1]]], dim=1).cummax(dim=1).values
        row_limit = self.factors.limit(to_end, rows, columns, self.rounded)
        column_limit = self.factors.limit(from_end, columns, rows, self.rounded)
        groups = products.view(blocks, height // GROUP, GROUP, breadth)
        nearest = groups.amax(dim=2).float()
        loosest = row_limit.view(blocks, height // GROUP, GROUP).amin(dim=2)
        block, group, column = (
            (nearest > torch.minimum(loosest[:, :, None], column_limit[:, None])).nonzero().T
        )
        members = group[:, None] * GROUP + torch.arange(GROUP, device=group.device)
        near = products[block[:, None], members, column[:, None]].float()
        limits = torch.minimum(row_limit[block[:, None], members], column_limit[block, column][:, None])
        which, inside = (near > limits).nonzero().T
        block, row, column = block[which], members[which, inside], column[which]
        bounds = torch.maximum(to_end[block, row], from_end[block, column])
        self._measure(rows[block, row], columns[block, column], bounds)


def _height(columns: int) -> int:
    return max(ENTRIES // columns, 1)
