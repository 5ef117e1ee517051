"""Persistent entropy of a point cloud: how even are the gaps at which its points join?

The finite H0 bars of the Vietoris-Rips filtration are the n - 1 edges of the minimum spanning tree,
with lengths l_i and shares p_i = l_i / sum_j l_j:

    E = - sum_i p_i ln p_i    (in nats, 0 ln 0 = 0),    relative: E / ln(n - 1).

E is ln(n - 1), and the relative form 1, when all gaps are equal; both are 0 when one gap holds all
the length, as between two clumps of coincident points. It sees spacing, not directions: translation,
rotation and scaling change nothing. In high dimension all gaps of a cloud are alike, so values stay
close to the maximum and small differences count.

Reference: Rucco, Castiglione, Merelli, Pettini (2016); as a regularizer of fine-tuning,
Kudriashov et al. (2025), arXiv:2501.05502. The barcode itself is in `conescope.topology`.
"""

import math

from conescope import topology
from conescope._types import Lengths, Points, Scalar
from conescope.measures.centering import in_double


def persistent_entropy(points: Points) -> Scalar:
    """Return the persistent entropy of H0, in nats, from 0 to ln(n - 1).

    A repeated point adds a bar of length zero, which has no share. Coincident points have entropy 0.
    Fewer than two points have no bar: nan.

    >>> import torch
    >>> persistent_entropy(torch.tensor([[0.0], [1.0], [3.0], [7.0]]))  # bars 1, 2, 4
    tensor(0.9557)
    """
    return entropy_of_bars(bars(points)).to(points.dtype)


def relative_persistent_entropy(points: Points) -> Scalar:
    """Return persistent entropy over its maximum ln(n - 1): from 0 to 1, comparable across n.

    Bars of length zero count in n - 1, so repeated points lower it. Coincident points score 0; fewer
    than three points have no two bars to compare: nan.

    >>> import torch
    >>> relative_persistent_entropy(torch.tensor([[0.0], [1.0], [3.0], [7.0]]))
    tensor(0.8699)
    """
    return relative_entropy_of_bars(bars(points)).to(points.dtype)


def bars(points: Points) -> Lengths:
    """Return the lengths of the finite H0 bars, in float64; the unit may be changed."""
    return topology.h0_lengths(in_double(points))


def entropy_of_bars(lengths: Lengths) -> Scalar:
    """Return `persistent_entropy` of any cloud with these bars; nan without one."""
    return topology.persistent_entropy(lengths) if len(lengths) > 0 else lengths.sum() * math.nan


def relative_entropy_of_bars(lengths: Lengths) -> Scalar:
    """Return `relative_persistent_entropy` of any cloud with these bars; nan for fewer than two."""
    return topology.relative_persistent_entropy(lengths) if len(lengths) > 1 else lengths.sum() * math.nan
