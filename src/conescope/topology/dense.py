"""The minimum spanning tree of one cloud from its matrix of distances, in float32 and yet exact.

Boruvka's algorithm: every component of the forest takes its shortest edge to another one. With a row of
distances a component, merging components takes the least of their rows, so the matrix halves with each
round, at least, and all rounds together cost about two looks at it.

The products are float32, so the matrix holds lower bounds of squared distances, and every entry plus
`width[i] + width[j]` is an upper bound. Where a component has more than one edge that could be its
shortest, all of those are measured again from differences in float64, and of equal ones the smallest pair
is taken. Thus the choice is the exact one. Where too many must be measured (grids, one-hot vectors,
thousands of points in one place), the answer is None, and products in float64 have to decide.

The bound, with r = |x| near the origin, d dimensions and u = 2^-24: rounding the coordinates moves a
squared distance by at most 2 u (r_i + r_j)^2, the product in any order of summation by 2 d u r_i r_j (1 + d
u) (Higham 2002, section 3.1), and the norms and the two sums by at most 4 u (r_i + r_j)^2. As (r_i + r_j)^2
is at most 2 r_i^2 + 2 r_j^2 and 2 r_i r_j at most r_i^2 + r_j^2, all of it is below (d + 16) u (r_i^2 +
r_j^2).
"""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._types import Points

ROUNDOFF = 2.0**-24
MEASURED = 32  # edges a point that may be measured again


def dense_tree(rows: Points) -> Int64[Tensor, "edges 2"] | None:
    """Return the edges u < v of the minimum spanning tree of `placed` points, in no order, or None."""
    lower, width = bounds(rows)
    forest = _Forest(lower, width, rows)
    return forest.grow()


def rough_tree(rows: Points) -> Int64[Tensor, "edges 2"]:
    """Return edges that connect the points and are about the shortest that do, of float64 or float32 points.

    They may hold a circle where distances are equal to the precision of float32.
    """
    lower, width = bounds(rows)
    edges = _Forest(lower, width, None).grow()
    assert edges is not None  # nothing is measured
    return edges


def bounds(rows: Points) -> tuple[Float[Tensor, "n n"], Float[Tensor, " n"]]:
    """Return lower bounds of squared distances in float32, and widths: lower + width_i + width_j is above."""
    d = rows.shape[1]
    narrow = rows.float()
    squares = rows.square().sum(dim=1)
    error = (d + 16) * ROUNDOFF * (1 + 2 * d * ROUNDOFF) * squares
    below = (squares - error).float()
    lower = torch.addmm(below, narrow, narrow.T, alpha=-2)
    lower += below[:, None]
    return lower, (2 * error).float()


class _Forest:
    """Components of points, a row of lower bounds each: to every point, from the closest of its members."""

    def __init__(self, lower: Float[Tensor, "n n"], width: Float[Tensor, " n"], rows: Points | None) -> None:
        self.lower = lower.fill_diagonal_(math.inf)
        self.width = width
        self.rows = rows  # None: edges are not measured again
        self.every = torch.arange(len(lower), device=lower.device)
        self.component = self.every  # of each point
        self.reach = lower  # of shape (components, n)
        self.left = MEASURED * len(lower)

    def grow(self) -> Int64[Tensor, "edges 2"] | None:
        chosen: list[Tensor] = []
        while len(self.reach) > 1:
            ends = self._shortest()
            if ends is None:
                return None
            chosen.append(self._merge(*ends))
        return torch.cat(chosen) if chosen else self.every.new_zeros(0, 2)

    def _shortest(self) -> tuple[Tensor, Tensor] | None:
        """Return the shortest edge that leaves each component: its member, and the point at the other end."""
        reach, count, n = self.reach, len(self.reach), len(self.lower)
        here = self.every[:count]
        other = torch.from_numpy(reach.numpy().argmin(axis=1)) if reach.is_cpu else reach.argmin(dim=1)
        at = here * n + other
        least = reach.view(-1)[at]
        member, lengths = here, least
        if count < n:  # from the other end, which of the members is it?
            lengths = self.lower.view(-1)[other[self.component] * n + self.every]
            closest = lengths.new_full((count,), math.inf).scatter_reduce(0, self.component, lengths, "amin")
            is_closest = torch.where(lengths == closest[self.component], self.every, n)
            member = here.new_full((count,), n).scatter_reduce(0, self.component, is_closest, "amin")
        if self.rows is None:
            return member, other
        upper = least + self.width[member] + self.width[other]
        reach.view(-1)[at] = math.inf
        unsure = reach.amin(dim=1) <= upper
        reach.view(-1)[at] = least
        if count < n:
            near = (lengths <= upper[self.component]).long()
            unsure |= torch.zeros_like(here).scatter_add(0, self.component, near) > 1
        return (
            self._measured(unsure.nonzero()[:, 0], upper, member, other) if unsure.any() else (member, other)
        )

    def _measured(
        self, unsure: Tensor, upper: Tensor, member: Tensor, other: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """Return the ends, for unsure components those of the edge that is shortest by differences."""
        assert self.rows is not None
        n = len(self.lower)
        found = (self.reach[unsure] <= upper[unsure, None]).nonzero()
        owner, far = unsure[found[:, 0]], found[:, 1]
        sizes = self.component.bincount(minlength=len(self.reach))
        members = self.component.argsort(stable=True)
        start = sizes.cumsum(0) - sizes
        times = sizes[owner]
        self.left -= int(times.sum())
        if self.left < 0:
            return None
        which = torch.repeat_interleave(times)
        place = self.every.new_ones(len(which)).cumsum(0) - 1 - (times.cumsum(0) - times)[which]
        owner, far = owner[which], far[which]
        near = members[start[owner] + place]
        close = self.lower[far, near] <= upper[owner]
        owner, near, far = owner[close], near[close], far[close]
        squares = (self.rows[near] - self.rows[far]).square_().sum(dim=1)
        order = (torch.minimum(near, far) * n + torch.maximum(near, far)).argsort()
        order = order[squares[order].argsort(stable=True)]
        order = order[owner[order].argsort(stable=True)]
        owner = owner[order]
        first = order[torch.cat([owner.new_ones(1, dtype=torch.bool), owner[1:] != owner[:-1]])]
        owner = torch.unique_consecutive(owner)
        member, other = member.clone(), other.clone()
        member[owner], other[owner] = near[first], far[first]
        return member, other

    def _merge(self, member: Tensor, other: Tensor) -> Int64[Tensor, "new 2"]:
        """Join each component to the one its edge leads to, and return the edges, each once."""
        count, n = self.reach.shape
        here = self.every[:count]
        parent = self.component[other]
        root = (parent[parent] == here) & (here < parent)  # two that chose the same edge
        edges = torch.stack([torch.minimum(member, other), torch.maximum(member, other)], dim=1)[~root]
        parent = torch.where(root, here, parent)
        while not torch.equal(further := parent[parent], parent):
            parent = further
        number = (root.long().cumsum(0) - 1)[parent]
        merged = self.reach.new_full((int(root.sum()), n), math.inf)
        if len(merged) > 1:
            merged = merged.scatter_reduce(0, number[:, None].expand(count, n), self.reach, "amin")
        self.component = number[self.component]
        merged[self.component, self.every] = math.inf
        self.reach = merged
        return edges
