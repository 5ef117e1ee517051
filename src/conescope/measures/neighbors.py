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
SPARE = 12
BLOCK = 1 << 24  # distances held at a time
GATHERED = 1 << 18  # coordinates of neighbors held at a time


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
    indices = (
        _nearest(_in_place(rows.detach()), k)
        if k
        else torch.zeros(n, 0, dtype=torch.int64, device=rows.device)
    )
    every = torch.arange(n, device=rows.device)
    distances = _distances(rows, every, indices) if k else rows.new_zeros(n, 0)
    return Neighbors(distances, indices, d)


def _in_place(rows: Points) -> Points:
    """Return the points near the origin and of ordinary size, so that products lose few digits.

    No step rounds what is exact, so that equal distances stay equal: differences to a point, a power of two
    as the unit, and a center of few digits.
    """
    rows = rows - rows[0]
    exponent = torch.frexp(rows.abs().amax()).exponent
    rows = rows * torch.exp2(-exponent.double())
    return rows - rows.mean(dim=0).bfloat16().double()


def _nearest(rows: Points, k: int) -> Int64[Tensor, "n k"]:
    every = torch.arange(len(rows), device=rows.device)
    found, missed = _candidates(rows, every, k, torch.float32)
    if len(missed):
        found[missed] = _candidates(rows, missed, k, torch.float64)[0]
    return found


def _candidates(
    rows: Points, queries: Int64[Tensor, " m"], k: int, dtype: torch.dtype
) -> tuple[Int64[Tensor, "m k"], Int64[Tensor, " missed"]]:
    """Return the neighbors of some rows, and those of them for which the products were too coarse."""
    n, d = rows.shape
    narrow = rows.to(dtype)
    squares = rows.square().sum(dim=1)
    norms, roundoff = squares.sqrt(), torch.finfo(dtype).eps / 2
    growth = (d + 2) * roundoff / (1 - (d + 2) * roundoff)
    found, unsure = [], []
    for part in torch.split(queries, max(BLOCK // n, 1)):
        products = torch.addmm(squares.to(dtype), narrow[part], narrow.T, alpha=-2)
        products[torch.arange(len(part), device=part.device), part] = torch.inf
        nearest = products.topk(min(k + SPARE, n - 1), dim=1, largest=False, sorted=False)
        indices = nearest.indices.sort(dim=1).values  # ties go to the lower index: the next sort is stable
        distances, order = _distances(rows, part, indices).sort(dim=1, stable=True)
        found.append(indices.gather(1, order[:, :k]))
        if k + SPARE < n - 1:
            slack = 2 * growth * norms[part] * norms.amax() + 4 * roundoff * (norms[part] + norms.amax()) ** 2
            reached = squares[part] + nearest.values.amax(dim=1) - slack
            unsure.append(part[distances[:, k - 1].square() + slack > reached])
    return torch.cat(found), torch.cat(unsure) if unsure else queries[:0]


def _distances(
    rows: Points, part: Int64[Tensor, " m"], indices: Int64[Tensor, "m k"]
) -> Float[Tensor, "m k"]:
    """Return distances from differences, a few points at a time: their neighbors then stay in the cache."""
    height = max(GATHERED // (indices.shape[1] * rows.shape[1]), 1)
    pieces = zip(torch.split(part, height), torch.split(indices, height), strict=True)
    return torch.cat([torch.linalg.vector_norm(rows[at] - rows[of, None], dim=2) for of, at in pieces])
