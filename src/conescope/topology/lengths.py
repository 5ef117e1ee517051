"""Lengths of edges, differentiable in their end points.

A bar's death is the length of one edge, so its gradient touches two points: the unit vector from one to
the other, with both signs. Nothing of size n x n is kept for backward.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from conescope._types import Clouds, Edges, Lengths, Points
from conescope.topology.compiled import compiled, compiled_in_training
from conescope.topology.placing import ORDINARY, SINGLE, product_roundoff
from conescope.topology.pulls import norms_of_edges, pulls_of_edges

SMALL = 48  # points of a cloud up to which products with a matrix of signs are cheaper than rows one by one
MANY = 128  # points from which on bags of rows are cheaper, in float32


def edge_lengths(
    points: Points, edges: Int64[Tensor, "edges 2"], known: Float[Tensor, " edges"] | None = None
) -> Float[Tensor, " edges"]:
    """Return the length of each edge (u, v) between rows of the points: float64 for float64, else float32.

    An edge of length zero has gradient zero. The gradient has a gradient.

    Args:
        points: one a row.
        edges: pairs of rows.
        known: their lengths, from a compiled loop that has measured them on its way.

    >>> edge_lengths(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0, 1]]))
    tensor([5.])
    """
    wide = points if points.dtype == torch.float64 else points.float()
    return _lengths(wide, edges, known)


def edge_lengths_of_clouds(
    clouds: Float[Tensor, "clouds n d"], edges: Int64[Tensor, "clouds edges 2"]
) -> Float[Tensor, "clouds edges"]:
    """Return the length of each edge between rows of its cloud, as `edge_lengths` does.

    Of small clouds, ends are subtracted, and pulls added, by products with a matrix of 1, -1 and 0: no number
    is rounded more often, and the points are read and written once. Numbers that are not finite spread
    through their cloud.
    """
    wide = clouds if clouds.dtype == torch.float64 else clouds.float()
    if _signs_are_cheaper(wide):
        return _lengths(wide, edges)
    return edge_lengths(*_as_one_cloud(wide, edges)).reshape(edges.shape[:2])


def ascending_lengths(points: Clouds, edges: Edges) -> tuple[Edges, Lengths]:
    """Return the edges of a cloud, or of each of several, by ascending length, equal ones as they come.

    And their lengths, which are those of `edge_lengths`.
    """
    wide = points if points.dtype == torch.float64 else points.float()
    if wide.ndim == 2:
        lengths, order = _EdgeLengths.apply(wide, edges, True, None)  # type: ignore[no-untyped-call]
        return edges.index_select(0, order), lengths
    if _signs_are_cheaper(wide):
        lengths, order = _EdgeLengths.apply(wide, edges, True, None)  # type: ignore[no-untyped-call]
    else:
        lengths = edge_lengths(*_as_one_cloud(wide, edges)).reshape(edges.shape[:-1])
        order = lengths.detach().argsort(dim=-1, stable=True)
        lengths = lengths.gather(-1, order)
    return edges.gather(-2, order[..., None].expand_as(edges)), lengths


def _lengths(points: Tensor, edges: Tensor, known: Tensor | None = None) -> Tensor:
    lengths: Tensor = _EdgeLengths.apply(points, edges, False, known)[0]  # type: ignore[no-untyped-call]
    return lengths


def _signs_are_cheaper(clouds: Tensor) -> bool:
    exact = clouds.dtype == torch.float64 or product_roundoff(clouds.device) == SINGLE
    return exact and clouds.shape[1] <= SMALL


def _as_one_cloud(clouds: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    count, n, d = clouds.shape
    rows = edges + n * torch.arange(count, device=clouds.device)[:, None, None]
    return clouds.reshape(count * n, d), rows.reshape(-1, 2)


class _EdgeLengths(torch.autograd.Function):
    """Differences of end points and their norms, and the order of these, if it is wanted.

    Backward adds pulls to the end points.
    """

    @staticmethod
    def forward(
        ctx: Any, points: Tensor, edges: Tensor, ascending: bool, known: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        # a setup_context would cost as much as the arithmetic of 64 points
        lengths = _norms_in_loop(points, edges) if known is None else known
        incidence = differences = ctx.pulls = None
        if lengths is not None:
            ctx.pulls = compiled(pulls_of_edges, True)
        else:
            incidence = _incidence(points, edges) if points.ndim == 3 else None
            differences = _differences(points, edges, incidence)
            lengths = torch.linalg.vector_norm(differences, dim=-1)
            ctx.ordinary = lengths.numel() == 0 or (_may_look(lengths) and _ordinary(lengths))
            if not ctx.ordinary:
                unit = _unit(differences)  # squares of very small or large lengths leave the range
                lengths = torch.linalg.vector_norm(differences / unit, dim=-1).mul_(unit)
        found, order = lengths.sort(dim=-1, stable=True) if ascending else (lengths, None)
        ctx.save_for_backward(points, edges, incidence, lengths, differences, order)
        ctx.set_materialize_grads(False)
        return found, order

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, None, None, None]:
        if grad is None:
            return None, None, None, None
        points, edges, incidence, lengths, differences, order = ctx.saved_tensors
        if order is not None:
            grad = grad.gather(-1, order.argsort(dim=-1))
        if torch.is_grad_enabled():  # a gradient of this gradient is wanted: it starts at the points
            of = edge_lengths if points.ndim == 2 else edge_lengths_of_clouds
            incidence = _incidence(points, edges) if points.ndim == 3 else None
            differences, lengths = _differences(points, edges, incidence), of(points, edges)
            return _at_ends(points, edges, incidence, _pull(differences, lengths, grad)), None, None, None
        if ctx.pulls is not None:
            numbers = (each.detach().contiguous().numpy() for each in (lengths, grad))
            pulls = ctx.pulls(*_arrays(points, edges), *numbers)
            return torch.from_numpy(pulls), None, None, None
        if ctx.ordinary:  # and none is zero
            return _at_ends(points, edges, incidence, differences, grad / lengths), None, None, None
        return _at_ends(points, edges, incidence, _pull(differences, lengths, grad)), None, None, None


def _norms_in_loop(points: Tensor, edges: Tensor) -> Tensor | None:
    """Return the lengths by a compiled loop, if there is one and it pays."""
    if points.dtype != torch.float32 or points.ndim == 3:
        return None
    loop = compiled_in_training(norms_of_edges, points, any_order=True)
    return None if loop is None else torch.from_numpy(loop(*_arrays(points, edges)))


def _arrays(points: Tensor, edges: Tensor) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return points.detach().contiguous().numpy(), edges.contiguous().numpy()


def _pull(differences: Tensor, lengths: Tensor, grad: Tensor) -> Tensor:
    """Return the unit vectors of the edges times their gradients; zero for edges of length zero."""
    apart = lengths > 0
    directions = differences / torch.where(apart, lengths, 1)[..., None]  # 1 over a length may overflow
    return directions * torch.where(apart, grad, 0)[..., None]


def _differences(points: Tensor, edges: Tensor, incidence: Tensor | None) -> Tensor:
    """Return the first end of each edge minus the second."""
    if incidence is not None:
        return _product(incidence, points)
    if _in_bags(points, edges):
        signs = _signs(points, edges).contiguous()
        return embedding_bag(edges, points, mode="sum", per_sample_weights=signs)
    return points.index_select(0, edges[:, 0]).sub_(points.index_select(0, edges[:, 1]))


def _at_ends(
    points: Tensor, edges: Tensor, incidence: Tensor | None, pull: Tensor, factor: Tensor | None = None
) -> Tensor:
    """Return, for each point, the pulls of edges that it is the first end of, less those of the others."""
    if incidence is not None:
        return _product((incidence if factor is None else incidence * factor[..., None]).mT, pull)
    if factor is not None and _in_bags(points, edges):
        return _in_bags_of_points(len(points), edges, pull, factor)
    pull = pull if factor is None else pull * factor[:, None]
    moved = torch.zeros_like(points).index_add_(0, edges[:, 0], pull)
    return moved.index_add_(0, edges[:, 1], pull, alpha=-1)


def _in_bags(points: Tensor, edges: Tensor) -> bool:
    """Return whether rows are better gathered and added in one call that has no gradient.

    A bag of an embedding is a weighted sum of rows. Of float32 on a CPU it takes half the time of rows that
    are gathered first, or added one by one, and rounds the same.
    """
    if len(points) < MANY or len(edges) == 0 or not points.is_cpu or points.dtype != torch.float32:
        return False
    return not (torch.is_grad_enabled() or torch.compiler.is_compiling())


def _in_bags_of_points(n: int, edges: Tensor, pull: Tensor, factor: Tensor) -> Tensor:
    """Return `_at_ends`: the bag of a point holds its edges, in their order."""
    ends = edges.numpy().ravel()
    order = ends.argsort(kind="stable")
    edge = order >> 1
    factors = factor.numpy()[edge]
    np.negative(factors, out=factors, where=(order & 1).astype(np.bool_))  # at the second end
    starts = np.zeros(n, dtype=np.int64)
    np.cumsum(np.bincount(ends, minlength=n)[:-1], out=starts[1:])
    return embedding_bag(
        torch.from_numpy(edge),
        pull,
        torch.from_numpy(starts),
        mode="sum",
        per_sample_weights=torch.from_numpy(factors),
    )


def _incidence(points: Tensor, edges: Tensor) -> Tensor:
    """Return a row for each edge, 1 at its first end and -1 at the second; zero if they are one point."""
    clouds, n, _ = points.shape
    return points.new_zeros(clouds, edges.shape[1], n).scatter_add_(2, edges, _signs(points, edges))


def _signs(points: Tensor, edges: Tensor) -> Tensor:
    """Return 1 for the first end of each edge and -1 for the second, in the number type of the points."""
    return torch.linspace(1, -1, 2, dtype=points.dtype, device=points.device).expand(edges.shape)


def _product(left: Tensor, right: Tensor) -> Tensor:
    with torch.autocast(left.device.type, enabled=False):  # which would round the factors
        return torch.bmm(left, right)


def _may_look(lengths: Tensor) -> bool:
    return lengths.is_cpu and not torch.compiler.is_compiling()


def _ordinary(lengths: Tensor) -> bool:
    low, high = (float(end) for end in torch.aminmax(lengths))
    return low > 1 / ORDINARY and high < ORDINARY


def _unit(differences: Tensor) -> Tensor:
    """Return a power of two for all of them, in which squares do not overflow and vanish only when tiny."""
    low, high = torch.aminmax(differences.detach())
    exponent = torch.frexp(torch.maximum(-low, high)).exponent
    far, least = (50, -126) if differences.dtype == torch.float32 else (450, -1022)
    return torch.exp2((exponent - far).clamp(min=least).to(differences.dtype))
