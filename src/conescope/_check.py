"""Checks at the public door, worded for the caller: what must hold, what was found, what to do.

`check_finite` reads the contents, which costs a synchronization on an accelerator; the losses, which
run in the inner loop, do not call it.
"""

import math

import torch
from torch import Tensor


def check_points(points: Tensor, *, batched: bool = False) -> None:
    """Raise unless the tensor can be a point cloud of shape (n, d), or (batch, n, d) where allowed."""
    if not points.is_floating_point():
        raise TypeError(f"points must be floating point, got {points.dtype}; convert with points.float()")
    allowed = (2, 3) if batched else (2,)
    if points.ndim not in allowed or points.shape[-1] == 0:
        shape = "(n, d) or (batch, n, d)" if batched else "(n, d)"
        raise ValueError(f"points have shape {shape} with d >= 1, one point a row, got {tuple(points.shape)}")


def surely_finite(points: Tensor) -> bool:
    """Return whether no number is NaN or infinite, from one pass without a copy; waits for an accelerator.

    The sum is finite only if all are; that of the least and the greatest as well, which is quicker to have in
    half precision. False also where the sum is more than the type holds, so a caller has to look again.
    """
    numbers = points.detach()
    if numbers.numel() == 0:
        return True
    half = numbers.element_size() < 4
    return math.isfinite(float(torch.add(*torch.aminmax(numbers)) if half else numbers.sum()))


def check_finite(points: Tensor, *, first: int = 0) -> None:
    """Raise ValueError that names the first row holding NaN or infinity; rows are counted from `first`."""
    if surely_finite(points):
        return
    finite = torch.isfinite(points).all(dim=-1).reshape(-1)
    if not finite.all():
        bad = int((~finite).sum())
        row = first + int(finite.int().argmin())
        raise ValueError(
            f"points must be finite, but {bad} of {len(finite)} rows hold NaN or infinity, "
            f"the first in row {row}; drop these rows or find out where they come from"
        )


def check_labels(labels: Tensor, count: int) -> None:
    """Raise unless there is one integer label a point."""
    if labels.is_floating_point() or labels.is_complex():
        raise TypeError(f"labels must be integers, one class number a point, got {labels.dtype}")
    if labels.shape != (count,):
        raise ValueError(
            f"labels have one entry a point: expected shape ({count},), got {tuple(labels.shape)}"
        )


def check_lengths(lengths: Tensor) -> None:
    """Raise unless these can be the lengths of finite bars: at least one axis, finite, none negative."""
    if not lengths.is_floating_point():
        raise TypeError(f"bar lengths must be floating point, got {lengths.dtype}")
    if lengths.ndim == 0:
        raise ValueError("bar lengths have shape (bars,) or (batch, bars), got a single number")
    bad = ~((lengths >= 0) & torch.isfinite(lengths))
    if bad.any():
        where = tuple(bad.nonzero()[0].tolist())
        found = lengths[where].item()
        raise ValueError(
            f"bar lengths must be finite and not negative, but the one at {where} is {found}; "
            "leave the essential bar (death = inf) out"
        )
