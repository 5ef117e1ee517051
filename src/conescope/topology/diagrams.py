"""Numbers from barcodes: how long the bars are in all, and how far one barcode is from another.

A barcode is compared by pairing its bars: each bar of one with a bar of the other, or with the diagonal,
where bars of length zero lie. In the norm |.|_p of the (birth, death) plane a pair costs

    |(b - b', d - d')|_p,    and a bar left to the diagonal costs    (d - b) 2^(1/p - 1),

its distance to the nearest point ((b + d) / 2, (b + d) / 2). Over all pairings,

    Wasserstein distance of order q    min (sum cost^q)^(1/q),
    bottleneck distance                min (max cost)          with p = inf.

Infinite bars pair with infinite bars only, in the order of their births, at |b - b'|; with different
numbers of them the distance is infinite. A perturbation that moves no point farther than e moves the
barcode of a Rips filtration by 2 e at most in the bottleneck distance.

The pairing of the Wasserstein distance is found by SciPy's assignment, which compares costs to the last
digit: the solver for optimal transport that gudhi calls has an absolute tolerance, and takes costs below
1e-12 or so, which the square of a micrometer is in meters, for zero. From the pairing the distance is then
computed again, and so is differentiable in both barcodes. The bottleneck distance is that of Hera
(BSD license), as gudhi ships it.

Reference: Cohen-Steiner, Edelsbrunner, Harer (2007), and with Mileyko (2010), for stability; Kerber,
Morozov, Nigmetov (2017), arXiv:1606.03357, for the algorithms in Hera.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._optional import require
from conescope._types import Barcode, Scalar

Bars = Float[Tensor, "_ 2"]


def total_persistence(barcode: Barcode, *, power: float = 1.0) -> Float[Tensor, "*batch"]:
    """Return the sum of (death - birth)^power over the finite bars, 0 or more; 0 without such a bar.

    A bar of length zero adds nothing and has gradient zero, also for power < 1, where the limit of the
    gradient is infinite. With power=0 the bars of positive length are counted.

    Raises:
        ValueError: if a bar dies before its birth, has a birth that is not finite, or power is negative.

    >>> total_persistence(torch.tensor([[0.0, 1.0], [0.5, 2.0], [0.0, torch.inf]]))
    tensor(2.5000)
    """
    _check_bars(barcode)
    if not 0 <= power < float("inf"):
        raise ValueError(f"power must be 0 or more and finite, got {power}")
    wide = barcode if barcode.dtype == torch.float64 else barcode.float()
    births, deaths = wide.unbind(dim=-1)
    counts = torch.isfinite(deaths) & (deaths > births)
    lengths = torch.where(counts, deaths, 1) - torch.where(counts, births, 0)
    return torch.where(counts, lengths**power, 0).sum(dim=-1).to(barcode.dtype)


def wasserstein_distance(
    one: Bars, other: Bars, *, order: float = 1.0, internal_p: float = float("inf")
) -> Scalar:
    """Return the Wasserstein distance of two barcodes of shape (rows, 2), differentiable in both.

    In the unit of the points. 0 if the barcodes are equal up to bars of length zero; infinite, and without
    gradient, if the numbers of infinite bars differ. Where several pairings are best, the gradient is
    that of one of them. Empty barcodes have shape (0, 2).

    Args:
        one: rows (birth, death), births finite; death may be infinite.
        other: likewise.
        order: q of the module's formula, from 1.
        internal_p: p of the norm of the plane, from 1, infinity included.

    Raises:
        ValueError: if a bar dies before its birth, has a birth that is not finite, or an exponent is below 1.

    >>> one = torch.tensor([[0.0, 4.0], [1.0, 2.0]])  # (0, 4) moves to (0, 5), (1, 2) to (1.5, 1.5)
    >>> wasserstein_distance(one, torch.tensor([[0.0, 5.0]]))
    tensor(1.5000)
    """
    _check_bars(one, single=True)
    _check_bars(other, single=True)
    if not 1 <= order < float("inf"):
        raise ValueError(
            f"order must be 1 or more and finite, got {order}; see bottleneck_distance for infinity"
        )
    if not internal_p >= 1:
        raise ValueError(f"internal_p is the exponent of a norm, 1 or more, got {internal_p}")
    dtype, (one, other) = _alike(one, other)
    births, births_other = (_births_of_infinite(bars) for bars in (one, other))
    if len(births) != len(births_other):
        return births.new_full((), torch.inf, dtype=dtype)
    one, other = one[_has_length(one)], other[_has_length(other)]
    pairs = _best_pairs(one, other, order, internal_p)
    i, j = pairs.to(one.device)
    both, alone, alone_other = (i >= 0) & (j >= 0), i[j < 0], j[i < 0]
    costs = torch.cat(
        [
            torch.linalg.vector_norm(one[i[both]] - other[j[both]], ord=internal_p, dim=1),
            _to_diagonal(one[alone], internal_p),
            _to_diagonal(other[alone_other], internal_p),
            (births - births_other).abs(),
        ]
    )
    if not costs.any():
        return (0 * costs).sum().to(dtype)  # a corner; 0 is taken as the gradient
    unit = costs.detach().amax()  # powers of very small and large costs leave the range of the type
    distance: Tensor = torch.linalg.vector_norm(costs / unit, ord=order) * unit
    return distance.to(dtype)


@torch.no_grad()
def _best_pairs(one: Bars, other: Bars, order: float, internal_p: float) -> Int64[Tensor, "2 pairs"]:
    """Return the cheapest pairing of the finite bars, (i, j) a column; -1 stands for the diagonal.

    An assignment in which each bar may also take a place of its own on the diagonal.
    """
    from scipy.optimize import linear_sum_assignment

    n, m = len(one), len(other)
    one, other = one.cpu().double(), other.cpu().double()
    lengths = torch.cat([_to_diagonal(one, internal_p), _to_diagonal(other, internal_p)])
    unit = lengths.amax() if n + m else 1  # so that powers of lengths stay in range
    costs = torch.zeros(n + m, m + n, dtype=torch.float64)
    costs[:n, :m] = (torch.cdist(one, other, p=internal_p) / unit) ** order
    costs[:n, m:] = ((lengths[:n] / unit) ** order)[:, None]
    costs[n:, :m] = (lengths[n:] / unit) ** order
    i, j = (torch.from_numpy(index) for index in linear_sum_assignment(costs.numpy()))
    pairs = torch.stack([i.masked_fill(i >= n, -1), j.masked_fill(j >= m, -1)])
    return pairs[:, (pairs >= 0).any(dim=0)]


def _to_diagonal(bars: Bars, internal_p: float) -> Float[Tensor, " _"]:
    return (bars[:, 1] - bars[:, 0]) * 2 ** (1 / internal_p - 1)


def bottleneck_distance(one: Bars, other: Bars) -> Scalar:
    """Return the bottleneck distance of two barcodes of shape (rows, 2); it has no gradient.

    0 if the barcodes are equal up to bars of length zero, infinite if the numbers of infinite bars differ.

    Raises:
        ValueError: if a bar dies before its birth or has a birth that is not finite.
        ImportError: if gudhi is missing.

    >>> bottleneck_distance(torch.tensor([[0.0, 4.0], [1.0, 2.0]]), torch.tensor([[0.0, 5.0]]))
    tensor(1.)
    """
    _check_bars(one, single=True)
    _check_bars(other, single=True)
    hera = require("gudhi.hera", extra="topology")
    dtype, (one, other) = _alike(one.detach(), other.detach())
    births, births_other = (_births_of_infinite(bars) for bars in (one, other))
    if len(births) != len(births_other):
        return births.new_full((), torch.inf, dtype=dtype)
    diagrams = [bars[_has_length(bars)].cpu().double().numpy() for bars in (one, other)]
    finite = hera.bottleneck_distance(*diagrams, 0.0)  # 0: exact, not within a tolerance
    return torch.cat([(births - births_other).abs(), births.new_tensor([finite])]).amax().to(dtype)


def _check_bars(barcode: Tensor, *, single: bool = False) -> None:
    """Raise unless each row is (birth, death) with a finite birth and a death not before it."""
    if not barcode.is_floating_point():
        raise TypeError(f"a barcode must be floating point, got {barcode.dtype}")
    if barcode.ndim < 2 or barcode.shape[-1] != 2 or (single and barcode.ndim != 2):
        shape = "(rows, 2)" if single else "(rows, 2) or (batch, rows, 2)"
        raise ValueError(f"a barcode has shape {shape}, rows (birth, death), got {tuple(barcode.shape)}")
    births, deaths = barcode.detach().unbind(dim=-1)
    bad = ~(torch.isfinite(births) & (deaths >= births))
    if bad.any():
        where = tuple(bad.nonzero()[0].tolist())
        row = where[0] if len(where) == 1 else where
        raise ValueError(
            "a bar has a finite birth and a death not before it, "
            f"but row {row} is ({births[where]:g}, {deaths[where]:g}); columns are birth and death"
        )


def _alike(one: Tensor, other: Tensor) -> tuple[torch.dtype, tuple[Tensor, Tensor]]:
    """Return the dtype of the answer, and both barcodes on the device of the first in float32 or float64."""
    dtype = torch.promote_types(one.dtype, other.dtype)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    return dtype, (one.to(wide), other.to(one.device, wide))


def _births_of_infinite(barcode: Tensor) -> Tensor:
    return barcode[torch.isinf(barcode[:, 1]), 0].sort().values


def _has_length(barcode: Tensor) -> Tensor:
    """Return which bars are finite and not on the diagonal, where a bar costs nothing."""
    return torch.isfinite(barcode[:, 1]) & (barcode[:, 1] > barcode[:, 0])
