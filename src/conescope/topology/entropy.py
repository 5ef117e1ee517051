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
    largest = wide.detach().amax(dim=-1, keepdim=True)  # as the unit it keeps the total from overflowing
    wide = torch.where(wide != 0, wide, 0) / torch.where(largest == 0, 1, largest)  # a zero bar: no gradient
    total = wide.sum(dim=-1, keepdim=True)
    shares = wide / torch.where(total == 0, 1, total)
    shares = torch.where(shares != 0, shares, 1)  # 0 ln 0 = 0 = 1 ln 1
    return -(shares * shares.log()).sum(dim=-1).to(lengths.dtype)
