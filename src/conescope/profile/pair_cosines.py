"""The mean cosine of pairs of tokens, of different sequences and of one, without forming a pair.

With S_s the sum of the unit vectors of sequence s, and S that of all:

    different sequences: (||S||^2 - sum_s ||S_s||^2) / (number of ordered pairs of different sequences)
    one sequence:        (sum_s ||S_s||^2 - n) / (number of ordered pairs of two tokens of one sequence)
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class PairCosines(NamedTuple):
    """Mean cosines in [-1, 1]; NaN where there is no such pair, or a token that is zero or not finite."""

    across: float
    within: float


def unit_sums(points: Float[Tensor, "sequences tokens d"]) -> Float[Tensor, "sequences d"]:
    """Return the sum of the unit vectors of each sequence, in float64 on the CPU; O(n d)."""
    points = points.to(torch.promote_types(points.dtype, torch.float32))
    # Divided by the largest entry first, so that squares neither overflow nor vanish.
    points = points / points.abs().amax(dim=2, keepdim=True)
    sums: Tensor = (points / points.norm(dim=2, keepdim=True)).sum(dim=1)
    return sums.cpu().double()


def pair_cosines(sums: Float[Tensor, "sequences d"], tokens: int) -> PairCosines:
    """Return the mean cosines from the sums of the unit vectors of sequences of `tokens` tokens each.

    Sums of several batches of sequences, one under the other, give what all sequences at once do.
    """
    count = len(sums)
    own = float(sums.square().sum())
    total = float(sums.sum(dim=0).square().sum())
    across = (total - own) / (count * (count - 1) * tokens**2) if count > 1 else float("nan")
    within = (own - count * tokens) / (count * tokens * (tokens - 1)) if tokens > 1 else float("nan")
    return PairCosines(_clipped(across), _clipped(within))


def _clipped(cosine: float) -> float:
    """Return a mean cosine without what rounding puts beyond 1; NaN stays."""
    return cosine if cosine != cosine else min(max(cosine, -1.0), 1.0)
