"""Trees and their lengths for whatever holds clouds: one, a batch, a list, labelled points; by any metric."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._check import check_finite, check_labels, check_points
from conescope._types import Edges, Labels, Lengths, Points
from conescope.topology.lengths import ascending_lengths, edge_lengths
from conescope.topology.light import Progress
from conescope.topology.spanning import minimum_spanning_edges
from conescope.topology.trees import ALONE, padded_edges, spanning_edges

Metric: TypeAlias = Literal["euclidean", "cosine", "precomputed"]
METRICS: tuple[Metric, ...] = get_args(Metric)
SYMMETRIC = 1e-6  # to which share of the greatest distance a matrix must be


class Tree(NamedTuple):
    """The minimum spanning tree of a cloud, ascending by length, of equal lengths the smaller pair first."""

    edges: Edges
    lengths: Lengths  # differentiable, in the number type of the points
    n: int  # points of a cloud


def tree(points: Tensor, metric: Metric, exact: bool, progress: Progress | None) -> Tree:
    """Return the tree of one cloud (n, d), or the trees of a batch (clouds, n, d)."""
    _check_metric(metric)
    check_points(
        points if metric != "precomputed" or points.numel() else points.new_zeros(0, 1), batched=True
    )
    if metric == "precomputed":
        check_finite(points)
        return _of_matrices(points)
    small = points.ndim == 3 and (points.shape[1] < ALONE or not points.is_cpu)
    if metric == "cosine" or not (small or points.ndim == 2):
        check_finite(points)  # else `spanning_edges` does, or the lengths tell
    dtype, points = points.dtype, _on_sphere(points) if metric == "cosine" else points
    if points.ndim == 2:
        edges, lengths = ascending_lengths(points, spanning_edges(points, exact=exact, progress=progress))
        return _by_metric(edges, lengths, metric, len(points), dtype)
    if small or len(points) == 0:
        edges = padded_edges(points)
    else:
        edges = torch.stack([spanning_edges(cloud, exact=exact, progress=progress) for cloud in points])
    edges, lengths = ascending_lengths(points, edges)
    if small and not _all_apart(lengths):
        check_finite(points)
    return _by_metric(edges, lengths, metric, points.shape[1], dtype)


def grouped_trees(
    points: Points, groups: Labels, metric: Metric, exact: bool, progress: Progress | None
) -> list[Tree]:
    """Return the tree of each group of points, by ascending label; edges number rows of all points."""
    _check_metric(metric)
    if metric == "precomputed":
        raise ValueError("groups are of points; pass each group's own matrix for metric='precomputed'")
    check_points(points)
    check_finite(points)
    check_labels(groups, len(points))
    dtype, points = points.dtype, _on_sphere(points) if metric == "cosine" else points
    order = groups.argsort(stable=True)
    sizes = torch.unique_consecutive(groups[order], return_counts=True)[1].tolist()
    members = torch.split(order, sizes)
    found = _edges_of_groups(points.detach(), members, exact, progress)
    lengths = edge_lengths(points, torch.cat([*found, order.new_zeros(0, 2)]))
    parts = torch.split(lengths, [len(edges) for edges in found])
    each = zip(found, parts, sizes, strict=True)
    return [_ascending(edges, part, metric, size, dtype) for edges, part, size in each]


def tree_of_each(
    clouds: Sequence[Float[Tensor, "_ _"]], metric: Metric, exact: bool, progress: Progress | None
) -> list[Tree]:
    """Return the tree of each cloud of a list; edges are numbers of its own rows."""
    if metric == "precomputed" or len(clouds) == 0:
        return [tree(cloud, metric, exact, progress) for cloud in clouds]
    for cloud in clouds:
        check_points(cloud)
        if cloud.shape[1] != clouds[0].shape[1] or cloud.dtype != clouds[0].dtype:
            raise ValueError(
                "clouds of one list have one dimension and number type, got "
                f"{clouds[0].shape[1]} of {clouds[0].dtype} and {cloud.shape[1]} of {cloud.dtype}"
            )
    sizes = torch.tensor([len(cloud) for cloud in clouds], device=clouds[0].device)
    every = torch.arange(len(clouds), device=sizes.device)
    trees = grouped_trees(
        torch.cat(list(clouds)), torch.repeat_interleave(every, sizes), metric, exact, progress
    )
    filled, starts = every[sizes > 0].tolist(), (sizes.cumsum(0) - sizes).tolist()
    each = [Tree(every.new_zeros(0, 2), clouds[0].new_zeros(0), 0)] * len(clouds)
    for number, found in zip(filled, trees, strict=True):
        each[number] = found._replace(edges=found.edges - starts[number])
    return each


@torch.no_grad()
def _edges_of_groups(
    points: Points, members: Sequence[Int64[Tensor, " _"]], exact: bool, progress: Progress | None
) -> list[Int64[Tensor, "_ 2"]]:
    """Return the edges of each group: of small groups all at once, padded to the largest of them."""
    edges = [rows.new_zeros(0, 2) for rows in members]
    small = [number for number, rows in enumerate(members) if len(rows) < ALONE]
    for number, rows in enumerate(members):
        if len(rows) >= ALONE:
            edges[number] = rows[spanning_edges(points[rows], exact=exact, progress=progress)]
    if small:
        rows = torch.nn.utils.rnn.pad_sequence([members[number] for number in small], True, -1)
        present = rows >= 0
        rows = rows.clamp(min=0)
        found = padded_edges(points, present, rows)
        for number, at, pairs in zip(small, rows, found, strict=True):
            edges[number] = at[pairs[: max(len(members[number]) - 1, 0)]]
    return [pairs.sort(dim=1).values for pairs in edges]


def _of_matrices(distances: Float[Tensor, "*batch n n"]) -> Tree:
    """Return the tree from distances; their diagonals do not matter.

    Of the two entries of an edge the upper one is its length, and gets the gradient.
    """
    n = distances.shape[-1]
    if distances.shape[-2] != n:
        raise ValueError(
            f"precomputed distances have shape (n, n) or (batch, n, n), got {tuple(distances.shape)}"
        )
    matrices = distances if distances.ndim == 3 else distances[None]
    diagonal = torch.eye(n, dtype=torch.bool, device=distances.device)
    known = matrices.detach().double().masked_fill(diagonal, 0)
    _check_distances(known)
    numbers = minimum_spanning_edges(torch.minimum(known, known.mT))
    edges = torch.stack([numbers // max(n, 1), numbers % max(n, 1)], dim=-1)
    lengths = matrices.flatten(1).gather(1, numbers)
    if distances.ndim == 2:
        edges, lengths = edges[0], lengths[0]
    return _ascending(edges, lengths, "precomputed", n, distances.dtype)


def _check_distances(matrices: Float[Tensor, "batch n n"]) -> None:
    if matrices.numel() == 0:
        return
    slack = SYMMETRIC * matrices.abs().amax(dim=(1, 2), keepdim=True)
    for bad, what in (
        (matrices < 0, "not be negative"),
        ((matrices - matrices.mT).abs() > slack, "be symmetric"),
    ):
        if bool(bad.any()):
            at, u, v = bad.nonzero()[0].tolist()
            where = f" of matrix {at}" if len(matrices) > 1 else ""
            raise ValueError(
                f"precomputed distances must {what}, but entry ({u}, {v}){where} is {matrices[at, u, v]:g} "
                f"and entry ({v}, {u}) is {matrices[at, v, u]:g}; pass distances, not points or similarities"
            )


def _on_sphere(points: Tensor) -> Tensor:
    """Return the points divided by their norms."""
    wide = points if points.dtype == torch.float64 else points.float()
    largest = wide.detach().abs().amax(dim=-1, keepdim=True)
    zero = (largest == 0).reshape(-1)
    if bool(zero.any()):
        raise ValueError(
            f"cosine distances need directions, but {int(zero.sum())} of {len(zero)} points are zero, "
            f"the first in row {int(zero.int().argmax())}; drop these rows"
        )
    wide = wide / largest
    sphere: Tensor = wide / torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    return sphere


def _ascending(edges: Edges, lengths: Lengths, metric: Metric, n: int, dtype: torch.dtype) -> Tree:
    """Return edges that ascend by pair ascending by length."""
    order = lengths.detach().argsort(dim=-1, stable=True)
    edges = edges.gather(-2, order[..., None].expand_as(edges))
    return _by_metric(edges, lengths.gather(-1, order), metric, n, dtype)


def _by_metric(edges: Edges, lengths: Lengths, metric: Metric, n: int, dtype: torch.dtype) -> Tree:
    """Return a tree with lengths by the metric: 1 - cosine is half a squared chord."""
    lengths = lengths.square() / 2 if metric == "cosine" else lengths
    return Tree(edges, lengths.to(dtype), n)


def _all_apart(lengths: Lengths) -> bool:
    """Return whether all lengths of trees are positive numbers: then no point has NaN or infinity.

    Every point is at the end of an edge, unless it is alone. An edge that is missing has length zero.
    """
    if lengths.numel() == 0:
        return False
    low, high = (float(end) for end in torch.aminmax(lengths.detach()))
    return low > 0 and math.isfinite(high)


def _check_metric(metric: str) -> None:
    if metric not in METRICS:
        raise ValueError(f"metric is one of {', '.join(METRICS)}, got {metric!r}")
