"""The k nearest neighbors of every point: exact, in one pass that all measures of neighborhoods share.

Candidates come from float32 products, block by block: d_hat^2 = |x|^2 + |y|^2 - 2 x.y. With unit roundoff
u its error is at most

    slack = (2 g |x| |y| + 4 u (|x| + |y|)^2),    g = (d + 2) u / (1 - (d + 2) u),

for any order of summation (Higham 2002, section 3.1). A few more candidates than needed are kept and
their distances computed anew from differences, in float64. If the k-th of these, in square, plus the
slack does not exceed the approximate square of the last candidate minus its slack, nobody was missed; the
points for which that can not be said are compared with all others again, by products in float64. So the
answer is exact down to distances of 1e-7 of the cloud's radius; where more points than are kept lie
closer together than that, some of them are taken. The time is that of one product and one selection.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._types import Points
from conescope.measures.centering import in_double

NEIGHBORS = 20  # as many as any row of the table asks for
SPARE = 6
BLOCK = 1 << 23  # distances held at a time
GATHERED = 1 << 17  # coordinates of neighbors held at a time
GROUP = 16  # distances of which only the groups with the least are looked at one by one


class Neighbors(NamedTuple):
    """For each point its nearest others, closest first; at equal distance the lower index first."""

    distances: Float[Tensor, "n k"]  # float64, in a unit that may have been changed
    indices: Int64[Tensor, "n k"]
    d: int


def neighbors(points: Points, k: int = NEIGHBORS) -> Neighbors:
    """Return the k nearest neighbors of each point (all n - 1 others where there are fewer than k).

    A point is not its own neighbor; a copy of it is one, at distance 0. Neighbors are chosen without
    gradient, distances carry it (0 where they are 0).

    Raises:
        ValueError: if k is less than 1.
    """
    if k < 1:
        raise ValueError(f"k is a number of neighbors and at least 1, got {k}")
    rows = in_double(points)
    n, d = rows.shape
    k = max(min(k, n - 1), 0)
    if k == 0:
        return Neighbors(rows.new_zeros(n, 0), torch.zeros(n, 0, dtype=torch.int64, device=rows.device), d)
    distances, indices = _nearest(rows.detach(), k)
    if rows.requires_grad:
        distances = _distances(rows, torch.arange(n, device=rows.device), indices)
    return Neighbors(distances, indices, d)


class _Placed(NamedTuple):
    """Points, and the same near the origin and of ordinary size, so that products lose few digits."""

    rows: Float[Tensor, "n d"]
    points: Float[Tensor, "n d"]
    squares: Float[Tensor, " n"]
    unit: Float[Tensor, ""]


def _in_place(rows: Points) -> _Placed:
    """Return the points, also moved and in another unit.

    No step rounds what is exact, so that equal distances stay equal: differences to a point, a power of two
    as the unit, and a center of few digits.
    """
    points = rows - rows[0]
    unit = torch.exp2(-torch.frexp(points.abs().amax()).exponent.double())
    points *= unit
    points -= points.mean(dim=0).bfloat16().double()
    return _Placed(rows, points, points.square().sum(dim=1), unit)


def _nearest(rows: Points, k: int) -> tuple[Float[Tensor, "n k"], Int64[Tensor, "n k"]]:
    every = torch.arange(len(rows), device=rows.device)
    placed = _in_place(rows)
    distances, found, missed = _candidates(placed, every, k, torch.float32)
    if len(missed):
        distances[missed], found[missed], _ = _candidates(placed, missed, k, torch.float64)
    return distances, found


def _candidates(
    placed: _Placed, queries: Int64[Tensor, " m"], k: int, dtype: torch.dtype
) -> tuple[Float[Tensor, "m k"], Int64[Tensor, "m k"], Int64[Tensor, " missed"]]:
    """Return the neighbors of some rows, and those of them for which the products were too coarse."""
    n, d = placed.points.shape
    narrow, squares = placed.points.to(dtype), placed.squares
    norms, roundoff = squares.sqrt(), torch.finfo(dtype).eps / 2
    growth = (d + 2) * roundoff / (1 - (d + 2) * roundoff)
    lengths, found, unsure = [], [], []
    offsets = squares.to(dtype)
    height = max(BLOCK // n, 1)
    held = narrow.new_empty(min(height, len(queries)), n)
    for part in torch.split(queries, height):
        products = torch.mm(narrow[part], narrow.T, out=held[: len(part)])
        torch.add(offsets, products, alpha=-2, out=products)
        products[torch.arange(len(part), device=part.device), part] = torch.inf
        reached, indices = _least(products, min(k + SPARE, n - 1))
        indices = indices.sort(dim=1).values  # ties go to the lower index: the next sort is stable
        distances, order = _distances(placed.rows, part, indices).sort(dim=1, stable=True)
        lengths.append(distances[:, :k])
        found.append(indices.gather(1, order[:, :k]))
        if k + SPARE < n - 1:
            slack = 2 * growth * norms[part] * norms.amax() + 4 * roundoff * (norms[part] + norms.amax()) ** 2
            reach = squares[part] + reached - slack
            unsure.append(part[(distances[:, k - 1] * placed.unit).square() + slack > reach])
    missed = torch.cat(unsure) if unsure else queries[:0]
    return torch.cat(lengths), torch.cat(found), missed


def _least(
    products: Float[Tensor, "m n"], count: int
) -> tuple[Float[Tensor, " m"], Int64[Tensor, "m count"]]:
    """Return where the least numbers of each row are, and the greatest of them.

    They lie in the groups whose own least ones are least, at most so many groups as numbers: finding those
    first is faster.
    """
    m, n = products.shape
    groups = n // GROUP
    if groups < 2 * count:
        least = products.topk(count, dim=1, largest=False, sorted=False)
        return least.values.amax(dim=1), least.indices
    whole = groups * GROUP  # number i is in group i modulo groups
    least = products[:, :whole].view(m, GROUP, groups).amin(dim=1).topk(count, largest=False, sorted=False)
    members = torch.arange(0, whole, groups, device=products.device)
    indices = (least.indices[:, :, None] + members).flatten(1)
    rest = torch.arange(whole, n, device=products.device).expand(m, n - whole)
    indices = torch.cat([indices, rest], dim=1)
    few = products.gather(1, indices).topk(count, largest=False, sorted=False)
    return few.values.amax(dim=1), indices.gather(1, few.indices)


def _distances(
    rows: Points, part: Int64[Tensor, " m"], indices: Int64[Tensor, "m k"]
) -> Float[Tensor, "m k"]:
    """Return distances from differences, a few points at a time: their neighbors then stay in the cache."""
    height = max(GATHERED // (indices.shape[1] * rows.shape[1]), 1)
    pieces = zip(torch.split(part, height), torch.split(indices, height), strict=True)
    if rows.requires_grad:
        return torch.cat([torch.linalg.vector_norm(rows[at] - rows[of, None], dim=2) for of, at in pieces])
    distances = rows.new_empty(indices.shape)
    for (of, at), out in zip(pieces, torch.split(distances, height), strict=True):
        torch.linalg.vector_norm(rows[at].sub_(rows[of, None]), dim=2, out=out)
    return distances
