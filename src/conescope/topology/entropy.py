"""Persistent entropy: how evenly a barcode shares its total length among its bars.

With bar lengths l_1, ..., l_m and S = l_1 + ... + l_m,

    E = - sum_i p_i ln p_i,    p_i = l_i / S    (in nats, 0 ln 0 = 0).

E is 0 when one bar holds all the length and ln m when all m bars are equally long. It depends on
neither the order nor the unit of the lengths. Its gradient is

    dE / dl_i = - (ln p_i + E) / S,

positive exactly for bars shorter than S e^-E: raising the entropy grows the short bars and shrinks
the long ones. A bar of length zero has no share; its gradient, infinite in the limit, is taken as 0,
so that coincident points can not break a training run.

Reference: Rucco, Castiglione, Merelli, Pettini (2016); Atienza, Gonzalez-Diaz, Soriano-Trigueros
(2020), arXiv:1803.08304, for its stability.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._check import check_lengths
from conescope._types import Lengths


def persistent_entropy(lengths: Lengths) -> Float[Tensor, "*batch"]:
    """Return the persistent entropy of the bars along the last axis, in nats, from 0 to ln(bars).

    Without a positive bar it is 0.

    Raises:
        ValueError: if a length is negative, infinite or NaN.

    >>> persistent_entropy(torch.tensor([1.0, 1.0, 2.0]))  # 1.5 ln 2
    tensor(1.0397)
    """
    check_lengths(lengths)
    return entropy_of_shares(lengths)


def relative_persistent_entropy(lengths: Lengths) -> Float[Tensor, "*batch"]:
    """Return persistent entropy over its maximum, the logarithm of the number of bars: from 0 to 1.

    Bars of length zero count in that number, so coincident points lower the score. Fewer than two bars
    have nothing to share and score 0.

    >>> relative_persistent_entropy(torch.tensor([4.0, 2.0, 1.0, 1.0]))
    tensor(0.8750)
    """
    entropy = persistent_entropy(lengths)
    return entropy / math.log(max(lengths.shape[-1], 2))


def entropy_of_shares(lengths: Lengths) -> Float[Tensor, "*batch"]:
    """Return `persistent_entropy` without looking at the contents: for inner loops. NaN gives NaN."""
    if lengths.shape[-1] == 0:
        return lengths.sum(dim=-1)
    wide = lengths if lengths.dtype == torch.float64 else lengths.float()
    entropy: Tensor = _Entropy.apply(wide)  # type: ignore[no-untyped-call]
    return entropy.to(lengths.dtype)


class _Entropy(torch.autograd.Function):
    """The entropy, with the gradient above, in a third of the calls: each takes longer than its work."""

    @staticmethod
    def forward(ctx: Any, lengths: Tensor) -> Tensor:
        largest = lengths.amax(dim=-1, keepdim=True)
        unit = torch.where(largest == 0, 1, largest)  # it keeps the total from overflowing
        shares = lengths / unit
        total = shares.sum(dim=-1, keepdim=True).clamp(min=1)  # the longest bar is 1, if there is any
        shares = shares.div_(total)
        entropy: Tensor = torch.special.entr(shares).sum(dim=-1)
        ctx.save_for_backward(lengths, entropy, shares, total.mul_(unit))
        return entropy

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        lengths, entropy, shares, total = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of this gradient is wanted: it starts at the lengths
            entropy, total = entropy_of_shares(lengths), lengths.sum(dim=-1, keepdim=True)
            shares = lengths / torch.where(total == 0, 1, total)
        logs = torch.where(shares == 0, 1, shares).log()  # a zero bar has no gradient
        return torch.where(shares == 0, 0, (logs + entropy[..., None]) / total * -grad[..., None])
