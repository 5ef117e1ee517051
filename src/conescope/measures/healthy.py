"""Healthy ranges: where a value lies as long as nothing needs to be done.

They are rules of thumb, set where the pretrained sentence encoders of docs/measures/models.md stay inside
with room to spare, and where what is known to be wrong (raw [CLS] vectors, a narrow cone) lies outside. A
Gaussian cloud stays inside all of them: where few points or dimensions could take it outside by chance,
there is no range, and the verdict does not judge the value. Most measures have none at all, since none is
agreed on.
"""

from collections.abc import Callable
from math import inf

COLLAPSED = 0.99  # mean cosine above which one direction hides all others
CONE = 0.35  # mean cosine above which a common direction weighs on every comparison
DOMINANT = 0.25  # share of the centered variance in one direction
ROGUE = 0.5  # share of the mean cosine that three coordinates carry
THIN = 0.15  # effective rank over the number of dimensions
HUBS = 0.45  # share of points in nobody's list of neighbors; of 4096 Gaussian ones 0.34 to 0.36 (d 768, 1536)
SPREAD_NORMS = 0.3  # coefficient of variation of the norms
FEW = 50  # points below which hardly anything can be told
PAIRS = 200  # n (n - 1) d, from which on an even cloud has a mean cosine within 0.1 of zero (one deviation)
LOW = 20  # dimensions below which a Gaussian has uneven norms and directions itself

Range = tuple[float, float]


def mean_cosine(n: int, d: int) -> Range | None:
    """Return the range of the mean cosine."""
    return (-inf, CONE) if d > 1 and n * (n - 1) * d >= PAIRS else None


def norm_variation(n: int, d: int) -> Range | None:
    """Return the range of the coefficient of variation of the norms."""
    return (-inf, SPREAD_NORMS) if n >= LOW and d >= LOW else None


def anisotropy_1(n: int, d: int) -> Range | None:
    """Return the range of the variance share of the first direction."""
    return (-inf, DOMINANT) if n >= max(FEW, d) and d >= LOW else None


def effective_rank(n: int, d: int) -> Range | None:
    """Return the range of the effective rank."""
    return (THIN * d, inf) if n >= max(FEW, 2 * d) and d >= LOW else None


def rogue_share(n: int, d: int) -> Range | None:
    """Return the range of the share of the mean cosine in three coordinates."""
    return (-inf, ROGUE) if d >= LOW else None


def antihubs(n: int, d: int) -> Range | None:
    """Return the range of the share of points that are nobody's neighbor."""
    return (-inf, HUBS) if n >= FEW else None


RANGES: dict[str, Callable[[int, int], Range | None]] = {
    "mean_cosine": mean_cosine,
    "norm_variation": norm_variation,
    "anisotropy_1": anisotropy_1,
    "effective_rank": effective_rank,
    "rogue_share": rogue_share,
    "antihubs": antihubs,
}
