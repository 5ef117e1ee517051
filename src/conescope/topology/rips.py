"""H0 of the Vietoris-Rips filtration: at which distance do the components of a point cloud merge?

Every point is born at 0 and a component dies when it joins another, so the finite bars are the n - 1
edges of the Euclidean minimum spanning tree and one bar lives for ever. Deaths are distances, not
half distances (as in ripser and gudhi).

The tree is chosen without gradient; the lengths are then computed again from the differences of the
end points, and only these carry the gradient, so nothing of size n x n is kept for backward. A bar of
length zero (coincident points) is kept and gets gradient zero.

How exact: the tree is chosen from float64 products of centered points, which tell distances apart
down to about 1e-7 of the radius of the cloud, hence for float16, bfloat16 and float32 points about as
well as their coordinates do. Lengths have the rounding of a difference and a norm, nothing else.

The memory is that of a few n x n matrices in float64: 128 MiB each at n = 4096.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from conescope._check import check_finite, check_points
from conescope._types import Barcode, Clouds, Edges, Lengths
from conescope.topology.spanning import minimum_spanning_edges


def h0_edges(points: Clouds) -> Edges:
    """Return the edges of the minimum spanning tree: (n - 1, 2) pairs u < v, ascending by length.

    Points of shape (batch, n, d) give (batch, n - 1, 2). Ties are broken by the smaller pair, so the
    answer is one and the same on every device. Without two points there is no edge.

    Raises:
        ValueError: if a point is not finite (the row is named), or the shape is not that of points.

    >>> h0_edges(torch.tensor([[0.0], [7.0], [1.0], [3.0]]))
    tensor([[0, 2],
            [2, 3],
            [1, 3]])
    """
    edges, lengths = _tree(points)
    order = lengths.detach().argsort(dim=-1, stable=True)
    return edges.gather(-2, order[..., None].expand_as(edges))


def h0_lengths(points: Clouds) -> Lengths:
    """Return the lengths of the n - 1 finite bars, ascending, differentiable in the points.

    Points of shape (batch, n, d) give (batch, n - 1). Bars of length zero are kept. float16 and
    bfloat16 points are computed in float32; the result has their dtype.

    >>> h0_lengths(torch.tensor([[0.0], [7.0], [1.0], [3.0]]))
    tensor([1., 2., 4.])
    """
    return _tree(points)[1].sort(dim=-1, stable=True).values.to(points.dtype)


def h0_barcode(points: Clouds) -> Barcode:
    """Return the barcode: n rows (birth, death), finite bars ascending, the last row is (0, inf).

    No points, no bars: the shape is then (0, 2).
    """
    deaths = h0_lengths(points)
    if points.shape[-2] > 0:
        deaths = torch.cat([deaths, deaths.new_full((*deaths.shape[:-1], 1), torch.inf)], dim=-1)
    return torch.stack([torch.zeros_like(deaths), deaths], dim=-1)


def _tree(points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the edges of each minimum spanning tree and their lengths, in the same order."""
    check_points(points, batched=True)
    check_finite(points)
    clouds = points if points.ndim == 3 else points[None]
    present = torch.ones(clouds.shape[:2], dtype=torch.bool, device=points.device)
    edges, lengths = spanning_trees(clouds, present)
    return (edges, lengths) if points.ndim == 3 else (edges[0], lengths[0])


def spanning_trees(
    clouds: Float[Tensor, "clouds n d"], present: Bool[Tensor, "clouds n"]
) -> tuple[Edges, Float[Tensor, "clouds bars"]]:
    """Return the minimum spanning tree of the present points of each padded cloud: edges and lengths.

    Contents are not checked. A cloud of c points has c - 1 edges; the rest of its n - 1 rows are (0, 0)
    with length 0 and no gradient. Lengths are float32, or float64 for float64 points.
    """
    clouds = clouds if clouds.dtype == torch.float64 else clouds.float()
    count, n, d = clouds.shape
    numbers = minimum_spanning_edges(_squared_distances(clouds.detach(), present))
    numbers = numbers.masked_fill(numbers == n * n, 0)
    edges = torch.stack([numbers // max(n, 1), numbers % max(n, 1)], dim=-1)

    rows = edges + torch.arange(count, device=clouds.device)[:, None, None] * n
    ends = clouds.reshape(count * n, d).index_select(0, rows.flatten()).reshape(*edges.shape, d)
    differences = ends[:, :, 0] - ends[:, :, 1]
    # a unit for each bar, as squares of very small or large lengths leave the range of float32
    unit = _power_of_two(differences.detach(), dim=-1)
    return edges, torch.linalg.vector_norm(differences / unit, dim=-1) * unit[..., 0]


def _power_of_two(values: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Return the largest power of two up to the greatest magnitude: in this unit no square overflows.

    Changing to it and back rounds nothing. Where all values are zero it is 1.
    """
    largest = values.abs().amax(dim=dim, keepdim=True)
    return torch.where(largest > 0, largest / (2 * torch.frexp(largest).mantissa), 1)


def _squared_distances(clouds: Tensor, present: Tensor) -> Tensor:
    """Return float64 squared distances up to a common factor a cloud; infinity where a point is absent."""
    # No step may round what is exact, so that equal distances stay equal: differences of points, a power of
    # two as the unit, and a center of few digits.
    inside = present[..., None]
    points = clouds.double()
    if points.shape[1] > 0:
        first = present.int().argmax(dim=1)
        points = points - points[torch.arange(len(points), device=points.device), first][:, None]
        points = points.where(inside, 0)
        points = points / _power_of_two(points, dim=(1, 2))
        center = points.sum(dim=1, keepdim=True) / present.sum(dim=1).clamp(min=1)[:, None, None]
        points = (points - center.bfloat16().double()).where(inside, 0)
    squares = points.square().sum(dim=2)
    distances = torch.baddbmm(squares[:, None, :], points, points.mT, alpha=-2)
    distances += squares[:, :, None]
    distances = torch.maximum(distances, distances.mT).clamp_(
        min=0
    )  # a product need not be symmetric to the bit
    return distances.masked_fill_(~(present[:, :, None] & present[:, None, :]), torch.inf)
