"""Products of the points of each cloud with each other, in float64: by these, small clouds are compared."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from conescope.topology.placing import placed

TOGETHER = 1 << 17  # coordinates that are multiplied at a time on a CPU: as float64 they stay in its cache


@torch.no_grad()
def products(
    points: Float[Tensor, "*clouds_or_all d"],
    present: Bool[Tensor, "clouds n"] | None = None,
    members: Int64[Tensor, "clouds n"] | None = None,
) -> Float[Tensor, "clouds n n"]:
    """Return the products of the points of each cloud, which are placed near the origin for it.

    On a CPU a few clouds at a time are gathered, widened and multiplied, in memory that is used again: memory
    that is touched for the first time costs a batch of small clouds more than its products.

    Args:
        points: of clouds of one size, or all points, one a row, if there are `members`.
        present: which of the points there are, None for all; products of others are zero.
        members: the rows of each cloud.
    """
    count, n = points.shape[:2] if members is None else members.shape
    d = points.shape[-1]
    if not points.is_cpu or torch.compiler.is_compiling():
        rows = placed(_gathered(points, members), present)
        return torch.bmm(rows, rows.mT)
    height = max(TOGETHER // max(n * d, 1), 1)
    found = torch.empty(count, n, n, dtype=torch.float64)
    held = torch.empty(min(height, count), n, d, dtype=torch.float64)
    for start in range(0, count, height):
        part = slice(start, min(start + height, count))
        clouds = points[part] if members is None else _gathered(points, members[part])
        rows = placed(clouds, None if present is None else present[part], held[: part.stop - start])
        torch.bmm(rows, rows.mT, out=found[part])
    return found


def _gathered(points: Tensor, members: Tensor | None) -> Float[Tensor, "clouds n d"]:
    if members is None:
        return points
    return points.index_select(0, members.flatten()).reshape(*members.shape, points.shape[-1])
