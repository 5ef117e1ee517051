"""Persistent homology dimension: how does the total gap grow with the number of points?

The finite H0 bars of m points are the m - 1 edges of their minimum spanning tree. Their sum E(m) grows,
for points drawn from a d-dimensional set, as m^((d - 1) / d) (Steele 1988). So with subsamples of several
sizes, and the slope s of the least-squares line of ln E(m), averaged over draws, against ln (m - 1),

    dimension = 1 / (1 - s).

The number of bars m - 1 stands where the papers have the number of points m. For large m it is the same;
for small m it is what makes a regular simplex, where all bars are equal, have s = 1 exactly, while
against ln m it, and any small cloud like it, would have s > 1 and no dimension. From 1000 points on the
published form is larger by about 1 % at d = 5 and 3 % at d = 10.

Copies are taken once: a bar of length zero would make E grow too slowly. Subsamples are drawn without
replacement, for the same reason. Points are numbered by their distance to the mean before they are
drawn, so neither their order nor their place and turn in space changes the value.

References: Adams et al. (2020), "A fractal dimension for measures via persistent homology"; Schweinhart
(2021); Birdal et al. (2021), arXiv:2111.13171; Tulchinskii et al. (2023), arXiv:2306.04723.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from conescope import topology
from conescope._copies import distinct_rows
from conescope._types import Points, Scalar
from conescope.measures.centering import centered

LARGEST = 512
STEPS = 7  # sizes
HELD = 1 << 22  # distances held at a time


def ph_dimension(
    points: Points,
    *,
    sizes: Sequence[int] | None = None,
    repeats: int = 8,
    generator: torch.Generator | None = None,
) -> Scalar:
    """Return the dimension that the growth of the total H0 bar length shows.

    It is nan if the slope is 1 or more (gaps that do not shrink: more dimensions than so many points can
    show), and with fewer than three distinct points.

    Args:
        points: of shape (n, d).
        sizes: of the subsamples, each at least 2; those above the number of distinct points are left
            out. None takes seven, evenly spaced in the logarithm from an eighth of the largest to the
            largest: all distinct points, or 512.
        repeats: subsamples of each size; the whole cloud is taken once.
        generator: of the draws. None draws with seed 0, so the value is a function of the points.

    Raises:
        ValueError: if a size is less than 2, or repeats less than 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats is a number of subsamples and at least 1, got {repeats}")
    if sizes is not None and any(size < 2 for size in sizes):
        raise ValueError(f"sizes are numbers of points, each at least 2, got {list(sizes)}")
    rows = _distinct(centered(points))
    n = len(rows)
    chosen = _sizes(min(n, LARGEST)) if sizes is None else sorted({size for size in sizes if size <= n})
    if len(chosen) < 2:
        return points.sum() * math.nan
    draws = torch.Generator().manual_seed(0) if generator is None else generator
    totals = torch.stack([_total(rows, size, repeats, draws) for size in chosen])
    heights = totals.log()
    places = torch.tensor([math.log(size - 1) for size in chosen], dtype=torch.float64, device=rows.device)
    steps = places - places.mean()
    slope = (steps * heights).sum() / steps.square().sum()
    grows = slope < 1 - 1e-12
    dimension: Scalar = torch.where(grows, 1 / torch.where(grows, 1 - slope, 1), math.nan)
    return dimension.to(points.dtype)


def _distinct(rows: Points) -> Float[Tensor, "distinct d"]:
    """Return each point once, closest to the mean first."""
    detached = rows.detach()
    if len(rows) == 0:
        return rows
    _, copy_of = distinct_rows(detached)
    every = torch.arange(len(rows), device=rows.device)
    first = torch.full_like(every, len(rows)).scatter_reduce(0, copy_of, every, "amin")
    first = first[first < len(rows)]
    order = torch.linalg.vector_norm(detached[first], dim=1).argsort(stable=True)
    return rows[first[order]]


def _sizes(largest: int) -> list[int]:
    steps = (8 ** (step / (STEPS - 1) - 1) for step in range(STEPS))
    return sorted({max(round(largest * step), 2) for step in steps}) if largest > 1 else []


def _total(rows: Points, size: int, repeats: int, generator: torch.Generator) -> Float[Tensor, ""]:
    """Return the sum of the bars of a subsample, averaged over the draws."""
    n = len(rows)
    count = repeats if size < n else 1
    order = [torch.randperm(n, generator=generator, device=generator.device)[:size] for _ in range(count)]
    draws = torch.stack(order).to(rows.device)
    parts = torch.split(draws, max(HELD // size**2, 1))
    return torch.cat([topology.h0_lengths(rows[part]).sum(dim=1) for part in parts]).mean()
