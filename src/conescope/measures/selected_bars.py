"""Selected bars: how many gaps of the cloud stand out as features from the rest?

The finite H0 bars are the distances at which components join. The recursive rule of
`conescope.topology.select_bars` (Atienza, Gonzalez-Diaz, Rucco, in the form of the code published with
"Shrink the longest") compares each with what the entropy of the others lets expect, and keeps the
longest bar and a few after it. This is the count of what it keeps.

0 means that all points coincide; n - 1, that no bar differs from the others, or that there are at most
three. It does not count clusters: the rule keeps very few bars, also noise-level ones. Bars of length zero
(repeated points) are neither kept nor looked at. Unchanged by translation, rotation and scaling.

Reference: Atienza, Gonzalez-Diaz, Rucco (2019), arXiv:1701.07857; Kudriashov et al. (2025),
arXiv:2501.05502.
"""

import math

import torch

from conescope import topology
from conescope._types import Lengths, Points, Scalar
from conescope.measures.persistent_entropy import bars


@torch.no_grad()
def selected_bars(points: Points) -> Scalar:
    """Return how many H0 bars the recursive rule keeps, from 0 to n - 1; it has no gradient.

    Fewer than two points have no bar: nan.

    >>> selected_bars(torch.tensor([[0.0], [3.0], [4.0], [5.0], [6.0]]))  # of bars 3, 1, 1, 1
    tensor(2.)
    """
    return count_of_selected_bars(bars(points)).to(points.dtype)


def count_of_selected_bars(lengths: Lengths) -> Scalar:
    """Return `selected_bars` of any cloud with these bars; nan without one."""
    if len(lengths) == 0:
        return lengths.sum() * math.nan
    return topology.select_bars(lengths, "recursive").sum().to(lengths.dtype)
