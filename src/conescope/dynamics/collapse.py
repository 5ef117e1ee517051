"""Collapse and recovery, read off the effective rank of a layer over steps.

A layer collapses at the first recorded step at which its effective rank is below half of the largest it had
before, and recovers at the first later one at which it is back at three quarters of that. Two thresholds
instead of one keep noise from making events. Coincident points have no effective rank, and count as zero.
"""

from collections.abc import Sequence
from typing import Literal

HALF = 0.5
BACK = 0.75
Kind = Literal["collapse", "recovery"]


def collapses(ranks: Sequence[float | None]) -> tuple[tuple[int, Kind], ...]:
    """Return the places in a series of effective ranks at which it collapses or recovers, in order.

    >>> collapses([10.0, 4.0, 5.0, 8.0, 3.0])  # half of 10 is 5, three quarters are 7.5
    ((1, 'collapse'), (3, 'recovery'), (4, 'collapse'))
    """
    found: list[tuple[int, Kind]] = []
    highest = 0.0
    down = False
    for place, value in enumerate(ranks):
        rank = 0.0 if value is None else value
        if not down:
            highest = max(highest, rank)
        if not down and rank < HALF * highest:
            found.append((place, "collapse"))
            down = True
        elif down and rank >= BACK * highest:
            found.append((place, "recovery"))
            down = False
    return tuple(found)
