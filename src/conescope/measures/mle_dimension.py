"""Maximum likelihood dimension: how fast does a neighborhood fill as it grows?

With r_1 <= ... <= r_k the distances from a point to its k nearest others, the number of points within
radius r grows as r^d where the density is locally constant in d dimensions. The likelihood (Levina and
Bickel) gives for one point the inverse dimension as a mean of logarithms, and for all points together
(MacKay and Ghahramani) the mean of these inverses:

    1 / dimension = (1 / n) sum_i (1 / (k - 1)) sum_{j < k} ln(r_k(i) / r_j(i)).

Averaging dimensions instead of inverses, as first proposed, overweights points with few close
neighbors. The divisor is k - 1 (maximum likelihood), not k - 2.

Copies are taken once, as in `twonn`: a point stands for its copies, and of the neighbors those count
that are new points, k_i <= k of them. Then each point contributes k_i - 1 logarithms, and the mean is
over all of them: 1 / dimension = sum_i sum_{j < k_i} ln(r_{k_i} / r_j) / sum_i (k_i - 1).

References: Levina and Bickel (2005), "Maximum likelihood estimation of intrinsic dimension", NIPS 17;
MacKay and Ghahramani (2005), comments on it.
"""

import math

import torch

from conescope._types import Points, Scalar
from conescope.measures.neighbors import NEIGHBORS, Neighbors, neighbors
from conescope.measures.twonn import ROUNDING, distinct_neighbors


def mle_dimension(points: Points, *, k: int = NEIGHBORS) -> Scalar:
    """Return the intrinsic dimension by the k nearest neighbors; copies are taken once.

    With fewer than k + 1 points it uses all others. It is nan if fewer than half of the points have two
    distinct others among their k nearest, and where all distances are equal, as in a regular simplex.

    Raises:
        ValueError: if k is less than 2.

    >>> mle_dimension(torch.tensor([[0.0], [1.0], [3.0]]), k=2)  # ratios 3, 2, 3/2: 3 / ln 9
    tensor(1.3654)
    """
    return mle_dimension_from_neighbors(neighbors(points, k), k=k).to(points.dtype)


def mle_dimension_from_neighbors(neighbors: Neighbors, *, k: int = NEIGHBORS) -> Scalar:
    """Return `mle_dimension` of any points with these neighbors."""
    if k < 2:
        raise ValueError(f"a dimension needs at least 2 neighbors of each point, got k = {k}")
    nearest = Neighbors(neighbors.distances[:, :k], neighbors.indices[:, :k], neighbors.d)
    others, once = distinct_neighbors(nearest)
    usable = others.sum(dim=1) >= 2
    if 2 * usable.sum() < max(len(usable), 1):
        return nearest.distances.sum() * math.nan
    chosen = others & (usable & once)[:, None]
    logs = torch.where(chosen, nearest.distances, 1).log()
    farthest = torch.where(chosen, nearest.distances, 0).amax(dim=1)
    reach = torch.where(farthest > 0, farthest, 1).log()
    total = torch.where(chosen, reach[:, None] - logs, 0).sum()
    count = chosen.sum() - (usable & once).sum()
    differ = total > ROUNDING * count
    return torch.where(differ, count / torch.where(differ, total, 1), math.nan)
