"""Partition isotropy: does every direction see the same amount of points?

The partition function of a direction a, and its least value against its greatest:

    Z(a) = sum_w exp(a . w),    I(W) = min_a Z(a) / max_a Z(a),

a over the unit eigenvectors of W^T W, points w as rows of W. 1 means that no direction is preferred, 0
that one is. An eigenvector has no sign of its own, so both signs are taken; published numbers often
take the one that their linear algebra library returned. If W^T W has equal eigenvalues, their
eigenvectors are any basis of what they span, and I depends on which one is returned.

It has a unit: the points are taken as they are, with their mean. Since Z(a) >= n exp(a . mean),
vectors of norm 100 with a common direction score about exp(-200), which float32 can not hold: take the
logarithm then. Unchanged by rotation and by duplication, not by translation or scaling.

References: Arora et al. (2016), arXiv:1502.03520, for Z; Mu and Viswanath (2018), arXiv:1702.01417, for I.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._types import Points, Scalar
from conescope.measures.centering import in_double

BLOCK = 1 << 24  # products held at a time
TIED = 1 - 1e-9  # coordinates of an eigenvector this close to the largest count as equally large
SMALLEST = math.log(torch.finfo(torch.float64).smallest_normal)

Signs = Literal["both", "positive"]


def partition_isotropy(points: Points, *, signs: Signs = "both") -> Scalar:
    """Return I(W), from 0 to 1; 0 also where it is less than the dtype of the points can hold.

    No gradient flows: that of an eigenvector is infinite where two eigenvalues meet.

    Args:
        points: of shape (n, d).
        signs: "both" takes a and -a; "positive" the one whose largest coordinate (the first, of equal
            ones) is positive, which is a convention: rotation then changes the value.

    No point gives nan; so do vectors so long (1e10 and more) that rounding decides which direction sees more.

    >>> partition_isotropy(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))  # (2 + 1/e) / (2 + e)
    tensor(0.5019)
    """
    return _log_ratio(points, signs).exp().to(points.dtype)


def log_partition_isotropy(points: Points, *, signs: Signs = "both") -> Scalar:
    """Return ln I(W), at most 0, which tells long vectors apart where I(W) itself underflows.

    >>> log_partition_isotropy(torch.tensor([[1000.0, 0.0]]))
    tensor(-2000.)
    """
    return _log_ratio(points, signs).to(points.dtype)


def _log_ratio(points: Points, signs: Signs) -> Scalar:
    if signs not in ("both", "positive"):
        raise ValueError(f'signs are "both" or "positive", got {signs!r}')
    rows = in_double(points.detach())
    n, d = rows.shape
    if n == 0:
        return rows.sum() * math.nan
    # in_double may have changed the unit, by a power of two, and here the unit counts
    size = rows.abs().amax()
    unit = torch.where(size > 0, points.detach().double().abs().amax() / size, 1)
    vectors = _eigenvectors(rows)
    if signs == "positive":
        large = vectors.abs() >= TIED * vectors.abs().amax(dim=0)
        leading = vectors.gather(0, large.int().argmax(dim=0, keepdim=True))
        vectors = vectors * leading.sign()
    # ln Z(a) = top + count, where count = ln sum_w exp(a . w - max_w a . w) is between 0 and ln n
    tops, counts = [], []
    width = max(BLOCK // n, 1)
    for start in range(0, vectors.shape[1], width):
        products = rows @ vectors[:, start : start + width]
        for sided in (products, -products) if signs == "both" else (products,):
            top = sided.amax(dim=0)
            tops.append(top)
            counts.append(torch.logsumexp((sided - top) * unit, dim=0))
    if n < d:  # directions in which no point lies: Z = n
        tops.append(rows.new_zeros(1))
        counts.append(rows.new_full((1,), math.log(n)))
    top = torch.cat(tops)
    logarithms = (top - top.amax()) * unit + torch.cat(counts)  # less a constant: nothing overflows
    found: Scalar = logarithms.amin() - logarithms.amax()
    rounding = d * torch.finfo(torch.float64).eps * torch.linalg.vector_norm(rows, dim=1).amax() * unit
    return torch.where((rounding < 1e-3) | (found < 2 * SMALLEST - rounding), found, math.nan)


def _eigenvectors(rows: Points) -> Float[Tensor, "d k"]:
    """Return the unit eigenvectors of rows^T rows as columns; where n < d, n that hold all points."""
    basis, coordinates = None, rows.T
    if len(rows) < rows.shape[1]:
        # coordinates in the space that the points span: roots of the points' products lose half the digits
        basis, coordinates = torch.linalg.qr(rows.T)
    vectors: Tensor = torch.linalg.eigh(coordinates @ coordinates.T).eigenvectors
    return vectors if basis is None else basis @ vectors
