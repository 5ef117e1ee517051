"""The minimum spanning tree of one cloud from its matrix of distances, in float32 and yet exact.

Boruvka's algorithm: every component of the forest takes its shortest edge to another one. With a row of
distances a component, merging components takes the least of their rows, so the matrix halves with each
round, at least, and all rounds together cost about two looks at it.

The products are float32, so the matrix holds lower bounds of squared distances, and every entry plus
`width[i] + width[j]` is an upper bound. Where a component has more than one edge that could be its shortest,
all of those are measured again from differences in float64, and of equal ones the smallest pair is taken.
Thus the choice is the exact one. Where too many must be measured (grids, one-hot vectors, thousands of
points in one place), the answer is None, and products in float64 have to decide.

The bound, with r = |x| near the origin, d dimensions and u = 2^-24: rounding the coordinates moves a squared
distance by at most 2 u (r_i + r_j)^2, the product in any order of summation by 2 d u r_i r_j (1 + d u)
(Higham 2002, section 3.1), the squares of norms by (d + 4) u each, and the two sums by 4 u (r_i + r_j)^2. As
(r_i + r_j)^2 is at most 2 r_i^2 + 2 r_j^2 and 2 r_i r_j at most r_i^2 + r_j^2, all of it is below
(2 d + 24) u (r_i^2 + r_j^2). If the user lets torch round the factors of products further, that is added, and
what squares lose that are too small for float32.

The matrix is torch's; what is as long as the points is NumPy's, whose calls take a fraction of the time.
"""

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from conescope._check import check_finite
from conescope._types import Points
from conescope.topology.kruskal import Numbers
from conescope.topology.placing import ORDINARY, SINGLE, VANISHED, power_of_two, product_roundoff
from conescope.topology.spanning import minimum_spanning_edges

Singles = NDArray[np.float32]
MEASURED = 32  # edges a point that may be measured again


def dense_tree(points: Points) -> Int64[Tensor, "edges 2"] | None:
    """Return the edges u < v of the minimum spanning tree, ascending by pair, or None.

    Raises:
        ValueError: if a point is not finite.
    """
    if len(points) < 2:
        check_finite(points)
        return torch.empty(0, 2, dtype=torch.int64)
    wide = points if points.dtype == torch.float64 else points.float()
    rows, squares = _centered(wide)
    if not ORDINARY**-2 < float(squares.max()) < ORDINARY**2:
        check_finite(points)
        wide = wide.double() / power_of_two(wide.double())  # of extreme size, or all equal
        rows, squares = _centered(wide)
    return _Forest(rows, squares, wide).grow()


def _centered(points: Points) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
    """Return the points less about their mean in float32, and their squared norms."""
    mean = torch.mv(points.T, points.new_full((len(points),), 1 / len(points)))  # in half the time of `mean`
    rows = (points - mean).float()
    return rows, squared_norms(rows)


def squared_norms(rows: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Return the squared norm of each row."""
    squares: Tensor = torch.linalg.vector_norm(rows, dim=1).square()
    return squares


def rough_tree(rows: Float[Tensor, "n d"]) -> Int64[Tensor, "edges 2"]:
    """Return edges that connect points near the origin, and are about the shortest that do.

    They may hold a circle where distances are equal to the precision of float32.
    """
    if not rows.is_cpu:  # it stays where it is, in rounds over the whole matrix
        lower = bounds(rows, squared_norms(rows))[0]
        numbers = minimum_spanning_edges(torch.maximum(lower, lower.T)[None])[0]
        return torch.stack([numbers // len(rows), numbers % len(rows)], dim=1)
    edges = _Forest(rows, squared_norms(rows), None).grow()
    assert edges is not None  # nothing is measured
    return edges


def bounds(
    rows: Float[Tensor, "n d"], squares: Float[Tensor, " n"]
) -> tuple[Float[Tensor, "n n"], Float[Tensor, " n"]]:
    """Return lower bounds of squared distances, and widths: lower_ij + width_i + width_j is above."""
    d = rows.shape[1]
    roundoff = product_roundoff(rows.device)
    share = (2 * d + 24) * SINGLE * (1 + 4 * d * SINGLE) + 4 * (roundoff - SINGLE)
    error = (squares * share).add_(VANISHED * d)
    below = squares - error
    lower = torch.addmm(below, rows, rows.T, alpha=-2)
    lower += below[:, None]
    return lower, 2 * error


class _Forest:
    """Components of points, a row of lower bounds each: to every point, from the closest of its members."""

    def __init__(
        self, rows: Float[Tensor, "n d"], squares: Float[Tensor, " n"], points: Points | None
    ) -> None:
        lower, width = bounds(rows, squares)
        self.n = len(rows)
        self.lower: Singles = lower.fill_diagonal_(torch.inf).numpy()
        self.width: Singles = width.numpy()
        self.points = points  # None: edges are not measured again
        self.every = np.arange(self.n)
        self.component = self.every  # of each point
        self.reach = self.lower  # of shape (components, n)
        self.left = MEASURED * self.n

    def grow(self) -> Int64[Tensor, "edges 2"] | None:
        chosen: list[Numbers] = []  # u n + v for each edge
        while len(self.reach) > 1:
            ends = self._shortest()
            if ends is None:
                return None
            chosen.append(self._merge(*ends))
        numbers = np.sort(np.concatenate(chosen)) if chosen else np.empty(0, dtype=np.int64)
        edges = np.empty((len(numbers), 2), dtype=np.int64)
        np.divmod(numbers, self.n, out=(edges[:, 0], edges[:, 1]))
        return torch.from_numpy(edges)

    def _shortest(self) -> tuple[Numbers, Numbers] | None:
        """Return the shortest edge that leaves each component: its member, and the point at the other end."""
        reach, count = self.reach, len(self.reach)
        here = self.every[:count]
        other = reach.argmin(axis=1)
        least = reach[here, other]
        member, lengths, longest = here, least, least
        if count < self.n:  # from the other end, which of the members is it?
            lengths = self.lower[other[self.component], self.every]
            closest = np.full(count, np.inf, dtype=np.float32)
            np.minimum.at(closest, self.component, lengths)
            is_closest = np.flatnonzero(lengths == closest[self.component])[::-1]
            member = np.empty(count, dtype=np.int64)
            member[self.component[is_closest]] = is_closest  # the first of them is written last
            longest = np.maximum(least, closest)  # to the bit, a product is not symmetric
        if self.points is None:
            return member, other
        upper = longest + self.width[member] + self.width[other]
        reach[here, other] = np.inf
        unsure = torch.from_numpy(reach).amin(dim=1).numpy() <= upper
        reach[here, other] = least
        if count < self.n:
            near = self.component[lengths <= upper[self.component]]
            unsure |= np.bincount(near, minlength=count) > 1
        if not unsure.any():
            return member, other
        return self._measured(np.flatnonzero(unsure), upper, member, other)

    def _measured(
        self, unsure: Numbers, upper: Singles, member: Numbers, other: Numbers
    ) -> tuple[Numbers, Numbers] | None:
        """Return the ends, for unsure components those of the edge that is shortest by differences."""
        assert self.points is not None
        row, far = np.nonzero(self.reach[unsure] <= upper[unsure, None])
        owner = near = unsure[row]
        sizes = np.bincount(self.component, minlength=len(self.reach))
        times = sizes[owner]
        self.left -= int(times.sum())
        if self.left < 0:
            return None
        if len(self.reach) < self.n:  # components have several members
            members = np.argsort(self.component, kind="stable")
            start = sizes.cumsum() - sizes
            which = np.repeat(np.arange(len(owner)), times)
            place = np.arange(len(which)) - np.repeat(times.cumsum() - times, times)
            owner, far = owner[which], far[which]
            near = members[start[owner] + place]
            close = self.lower[far, near] <= upper[owner]
            owner, near, far = owner[close], near[close], far[close]
        ends = torch.from_numpy(np.concatenate([near, far]))
        first_end, second_end = self.points.index_select(0, ends).double().chunk(2)
        squares = first_end.sub_(second_end).square_().sum(dim=1).numpy()
        order = np.lexsort((np.maximum(near, far), np.minimum(near, far), squares, owner))
        first = order[np.searchsorted(owner[order], unsure)]
        member, other = member.copy(), other.copy()
        member[unsure], other[unsure] = near[first], far[first]
        return member, other

    def _merge(self, member: Numbers, other: Numbers) -> Numbers:
        """Join each component to the one its edge leads to, and return numbers of the edges, each once."""
        here = self.every[: len(self.reach)]
        parent = self.component[other]
        root = (parent[parent] == here) & (here < parent)  # two that chose the same edge
        edges: Numbers = (np.minimum(member, other) * self.n + np.maximum(member, other))[~root]
        if self.points is not None and np.count_nonzero(root) == 1:  # one tree
            self.reach = self.reach[:1]
            return edges
        above = parent = np.where(root, here, parent)
        for _ in range(len(here).bit_length()):
            if np.array_equal(further := parent[parent], parent):
                break
            parent = further
        if root[parent].all():
            count, number = int(root.sum()), (root.cumsum() - 1)[parent]
        else:  # a circle of rough edges, which has no root
            count, number = _connected(above)
        if count == 1:  # one tree
            self.reach = self.reach[:1]
            return edges
        self.reach = _merged_rows(self.reach, number, count)
        self.component = number[self.component]
        self.reach[self.component, self.every] = np.inf
        return edges


def _connected(parent: Numbers) -> tuple[int, Numbers]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(parent)
    graph = coo_array((np.ones(n, dtype=np.int8), (np.arange(n), parent)), shape=(n, n))
    count, number = connected_components(graph, directed=False)
    return int(count), number.astype(np.int64)


def _merged_rows(matrix: Singles, number: Numbers, count: int) -> Singles:
    """Return the least of the rows that have the same number."""
    rows = torch.from_numpy(matrix)
    into = torch.from_numpy(number)[:, None].expand_as(rows)
    merged = rows.new_full((count, rows.shape[1]), torch.inf).scatter_reduce_(0, into, rows, "amin")
    least: Singles = merged.numpy()
    return least
