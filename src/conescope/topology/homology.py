"""Loops, voids and beyond: the barcode of the Vietoris-Rips filtration in every dimension.

At scale r the complex holds every set of points no two of which are farther apart than r. A class of
homology is born when an edge closes it and dies when an edge fills it, so both ends of a bar are the
lengths of one edge each, and gradient flows through these two edges alone:

    birth = |x_u - x_v|,   death = |x_s - x_t|    for the critical edges (u, v) and (s, t).

How the edges are found: gudhi is not given the lengths but their ranks. Ranks are all different (equal
lengths are ordered by the pair of points), so each end of a bar names its edge, whatever gudhi does to
make the complex smaller, and the filtration by ranks refines the one by lengths. Bars whose two
edges are equally long are then dropped. Without `longest`, edges beyond the enclosing radius
min_u max_v |x_u - x_v| are left out: at that scale the complex is a cone and nothing is left to happen.

Homology has coefficients in the field of two elements, as in ripser. Of gudhi only modules under the
MIT license are called: RipsComplex, SimplexTree and its edge collapse.

Reference: Edelsbrunner, Letscher, Zomorodian (2002); Bauer (2021), arXiv:1908.02518, for the enclosing
radius; Boissonnat, Pritam (2020) and Glisse, Pritam (2022), arXiv:2203.07022, for edge collapse.
"""

from collections.abc import Iterator
from types import ModuleType
from typing import Literal, TypeAlias, get_args

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from conescope._check import check_finite, check_points
from conescope._optional import require
from conescope._types import Barcode, Points
from conescope.topology.lengths import edge_lengths
from conescope.topology.rips import h0_barcode

Metric: TypeAlias = Literal["euclidean", "cosine", "precomputed"]

# Simplices that a complex may have: at about 100 bytes each, two gigabytes.
LIMIT = 20_000_000


def rips_barcode(
    points: Points, max_dim: int = 1, *, metric: Metric = "euclidean", longest: float | None = None
) -> tuple[Barcode, ...]:
    """Return one barcode for each homology dimension 0 .. max_dim: rows (birth, death), differentiable.

    Ends are distances (not half distances), in rows sorted by birth, then death. Dimension 0 is
    `h0_barcode`: n rows, zeros kept, the last (0, inf). In dimensions 1 and above a bar without length is
    dropped, and there is no infinite bar unless `longest` cuts the filtration short. float16 and bfloat16
    points are computed in float32; the result has their dtype and device.

    Args:
        points: (n, d), or with `metric="precomputed"` their (n, n) symmetric matrix of distances.
        max_dim: the highest homology dimension. 0 needs no optional package; 1 and above need gudhi.
        metric: "cosine" is 1 - cos of the angle between two rows.
        longest: edges longer than this are left out, and bars that would die later die at infinity.

    Raises:
        ValueError: if a point is not finite (the row is named); if a row has no direction under "cosine";
            if a precomputed matrix is none of distances; if the complex has more than LIMIT simplices.
        ImportError: if max_dim is 1 or more and gudhi is missing.

    >>> square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> rips_barcode(square)[1]
    tensor([[1.0000, 1.4142]])
    """
    _check(points, max_dim, metric, longest)
    wide = points if points.dtype == torch.float64 else points.float()
    # the mean of both entries, of a matrix that is symmetric up to rounding
    connected = h0_barcode((wide + wide.mT) / 2 if metric == "precomputed" else wide, metric=metric)
    if metric == "cosine":
        wide = _directions(wide)
    if longest is not None:
        connected = connected.masked_fill(connected > longest, torch.inf)
    barcodes = [connected.to(points.dtype)]
    if max_dim > 0:
        for edges in _critical_edges(_all_distances(wide, metric), max_dim, longest):
            essential = edges[:, 1, 0] < 0
            ends = _lengths(wide, edges.clamp(min=0).reshape(-1, 2), metric).reshape(-1, 2)
            deaths = ends[:, 1].masked_fill(essential, torch.inf)
            barcode = torch.stack([ends[:, 0], deaths], dim=1).to(points.dtype)
            barcode = barcode[(barcode[:, 1] > barcode[:, 0]).detach()]
            barcodes.append(_sorted(barcode))
    return tuple(barcodes)


def _check(points: Tensor, max_dim: int, metric: str, longest: float | None) -> None:
    check_points(points if metric != "precomputed" or points.numel() else points.new_zeros(0, 1))
    if max_dim < 0:
        raise ValueError(f"max_dim is a homology dimension, 0 or more, got {max_dim}")
    if metric not in get_args(Metric):
        raise ValueError(f"metric must be one of {', '.join(get_args(Metric))}, got {metric!r}")
    if longest is not None and not longest >= 0:
        raise ValueError(f"longest is a distance, 0 or more, got {longest}; None keeps all edges")
    check_finite(points)
    if metric == "precomputed":
        _check_distances(points)
    if metric == "cosine" and (null := (points == 0).all(dim=1)).any():
        row = int(null.int().argmax())
        raise ValueError(
            f"cosine distance needs a direction, but {int(null.sum())} of {len(points)} rows are zero, "
            f"the first is row {row}; drop these rows"
        )


def _check_distances(distances: Tensor) -> None:
    n = len(distances)
    if distances.shape != (n, n):
        raise ValueError(f"precomputed distances have shape (n, n), got {tuple(distances.shape)}")
    wide = distances.detach().double()
    slack = 1e-5 * float(wide.abs().max()) if n else 0.0
    for bad, what in (
        (wide < 0, "not be negative"),
        ((wide - wide.mT).abs() > slack, "be symmetric"),
        (torch.eye(n, dtype=torch.bool, device=wide.device) & (wide > slack), "be zero on the diagonal"),
    ):
        if bad.any():
            u, v = bad.nonzero()[0].tolist()
            raise ValueError(
                f"precomputed distances must {what}, but entry ({u}, {v}) is {wide[u, v]:g} and entry "
                f"({v}, {u}) is {wide[v, u]:g}; pass distances, not points or similarities"
            )


# ---- lengths under each metric


def _directions(points: Tensor) -> Tensor:
    """Return the rows at unit length; the largest entry is divided out first, so that no square overflows."""
    if len(points) == 0:
        return points
    points = points / points.detach().abs().amax(dim=1, keepdim=True)
    norms: Tensor = torch.linalg.vector_norm(points, dim=1, keepdim=True)
    return points / norms


def _lengths(points: Tensor, edges: Int64[Tensor, "edges 2"], metric: Metric) -> Float[Tensor, " edges"]:
    """Return the length of each edge, differentiable. 1 - cos is half the square of the chord."""
    edges = edges.to(points.device)
    if metric == "precomputed":
        u, v = edges.unbind(dim=1)
        return (points[u, v] + points[v, u]) / 2
    lengths: Tensor = edge_lengths(points, edges)
    return lengths.square() / 2 if metric == "cosine" else lengths


@torch.no_grad()
def _all_distances(points: Tensor, metric: Metric) -> Float64[Tensor, "n n"]:
    """Return all distances, on the CPU and in float64: they order the edges, no more."""
    n = len(points)
    if n * (n - 1) // 2 > LIMIT:
        raise ValueError(
            f"{n:,} points have {n * (n - 1) // 2:,} pairs, more than the {LIMIT:,} that a complex may hold; "
            "pass a sample of the points"
        )
    wide = points.cpu().double()
    if metric == "precomputed":
        return (wide + wide.mT) / 2
    # Differences, not products: equal distances stay equal. The unit is a power of two, so that no square
    # leaves the range of float64, and dividing by it and multiplying with it rounds nothing.
    exponent = torch.frexp(wide.abs().amax()).exponent.clamp(-1000, 1000) if n else torch.zeros(())
    unit = torch.exp2(exponent.double())
    distances = torch.cdist(wide / unit, wide / unit, compute_mode="donot_use_mm_for_euclid_dist") * unit
    return distances.square() / 2 if metric == "cosine" else distances


# ---- the choice of edges


@torch.no_grad()
def _critical_edges(
    distances: Float64[Tensor, "n n"], max_dim: int, longest: float | None
) -> Iterator[Int64[Tensor, "bars 2 2"]]:
    """Yield the two edges of each bar, dimension by dimension; (-1, -1) is where an infinite bar dies.

    Ranks count from 1, in the order of (length, u, v).
    """
    gudhi = require("gudhi", extra="topology")
    n = len(distances)
    pairs = torch.triu_indices(n, n, offset=1).T
    lengths = distances[pairs[:, 0], pairs[:, 1]]
    order = lengths.argsort(stable=True)
    edges = torch.cat([pairs[order], pairs.new_full((1, 2), -1)])

    ranks = torch.zeros(n, n, dtype=torch.float64)
    u, v = edges[:-1].unbind(dim=1)
    ranks[u, v] = ranks[v, u] = torch.arange(1, len(edges), dtype=torch.float64)
    cut = ranks.amax(dim=1).amin() if n else torch.zeros(())  # the enclosing radius
    if longest is not None:
        cut = torch.minimum(cut, (lengths <= longest).sum())
    bars = _rank_bars(gudhi, ranks, float(cut), max_dim)
    for births_and_deaths in bars:
        # an infinite death becomes the row after the last edge
        rows = births_and_deaths.clamp(max=len(edges)).long() - 1
        yield edges[rows]


def _rank_bars(
    gudhi: ModuleType, ranks: Tensor, cut: float, max_dim: int
) -> Iterator[Float64[Tensor, "bars 2"]]:
    """Yield the bars of dimensions 1 .. max_dim of the filtration by ranks, up to rank `cut`."""
    n = len(ranks)
    if cut == 0:
        yield from (ranks.new_zeros(0, 2) for _ in range(max_dim))
        return
    rips = gudhi.RipsComplex(distance_matrix=ranks.numpy(), max_edge_length=cut)
    complex_ = rips.create_simplex_tree(max_dimension=1)
    complex_.collapse_edges()  # fewer edges, the same bars
    kept = [simplex for simplex, _ in complex_.get_skeleton(1) if len(simplex) == 2]
    graph = torch.zeros(n, n, dtype=torch.bool)
    graph[tuple(torch.tensor(kept).T)] = True
    _check_size(graph, max_dim)
    complex_.expansion(max_dim + 1)
    # gudhi skips the top dimension of the complex, which is one that is asked for if few edges are left
    short = complex_.dimension() <= max_dim
    complex_.compute_persistence(homology_coeff_field=2, min_persistence=0, persistence_dim_max=short)
    for dim in range(1, max_dim + 1):
        yield torch.from_numpy(complex_.persistence_intervals_in_dimension(dim).reshape(-1, 2)).double()


def _check_size(graph: Bool[Tensor, "n n"], max_dim: int) -> None:
    """Raise before the complex of the graph (entries u < v) outgrows the machine."""
    graph = (graph | graph.mT).triu()
    total = len(graph)
    for size in range(2, max_dim + 3):
        total += _count_cliques(graph, size, LIMIT - total)
        if total > LIMIT:
            raise ValueError(
                f"the Rips complex of these {len(graph):,} points up to dimension {max_dim + 1} has more "
                f"than {LIMIT:,} simplices; leave long edges out (longest=...), pass a sample of the points, "
                "or ask for a lower max_dim"
            )


def _count_cliques(graph: Bool[Tensor, "n n"], size: int, enough: int) -> int:
    """Count the sets of `size` points that are all joined, and stop counting beyond `enough`.

    A clique is counted at its first point, in the graph of the later points joined to that one.
    """
    if size == 2:
        return int(graph.sum())
    if size == 3:
        joined = graph.float()
        return int((joined @ joined).mul_(joined).sum(dtype=torch.float64))
    count = 0
    for row in graph:
        later = row.nonzero()[:, 0]
        if len(later) >= size - 1:
            count += _count_cliques(graph[later][:, later], size - 1, enough - count)
        if count > enough:
            break
    return count


def _sorted(barcode: Barcode) -> Barcode:
    barcode = barcode[barcode[:, 1].detach().argsort(stable=True)]
    return barcode[barcode[:, 0].detach().argsort(stable=True)]
