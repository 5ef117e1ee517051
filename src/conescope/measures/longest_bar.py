"""Longest bar: how much wider is the widest gap of a cloud than an ordinary one?

With the lengths l_i of the finite H0 bars, the distances at which components of the cloud join,

    longest bar ratio = max_i l_i / median of the positive l_i.

1 means that all gaps are equal; a large value, that one point or one cluster lies far from the rest. Of an
even number of bars the median is the mean of the middle two. Repeated points say nothing about the
gaps between the others, so bars of length zero are left out, and with them bars below 1e-12 of the
longest, which are rounding. Unchanged by translation, rotation, scaling and repetition.

It reads the H0 barcode of `conescope.topology`, the lengths of the minimum spanning tree: its longest edge
is where single linkage would cut the cloud in two (Gower and Ross 1969).
"""

import math

from conescope._types import Lengths, Points, Scalar
from conescope.measures.persistent_entropy import bars

ROUNDING = 1e-12


def longest_bar_ratio(points: Points) -> Scalar:
    """Return the longest H0 bar over the median of the positive ones, at least 1.

    Without a positive bar (fewer than two points, or all coincide) it is nan.

    >>> import torch
    >>> longest_bar_ratio(torch.tensor([[0.0], [1.0], [3.0], [7.0]]))  # bars 1, 2, 4
    tensor(2.)
    """
    return ratio_of_longest_bar(bars(points)).to(points.dtype)


def ratio_of_longest_bar(lengths: Lengths) -> Scalar:
    """Return `longest_bar_ratio` of any cloud with these bars."""
    ordered = lengths.sort().values
    positive = ordered[ordered > ROUNDING * ordered[-1:]]
    if len(positive) == 0:
        return lengths.sum() * math.nan
    middle = (positive[(len(positive) - 1) // 2] + positive[len(positive) // 2]) / 2
    return positive[-1] / middle
