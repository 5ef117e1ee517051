"""Seconds of functions. Arms that are compared take turns, so that drift of the machine hits all alike."""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, NamedTuple

Arm = Callable[[], Any]
PAUSE = 0.1  # seconds before each call, in which the idle threads of the arm before stop to wait for work


class Timed(NamedTuple):
    """The seconds of one arm, a number for each round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.seconds)


def in_turns(arms: Mapping[str, Arm], repeats: int) -> tuple[dict[str, Timed], dict[str, Any]]:
    """Return the seconds of each arm, and what it returned the first time, whose seconds do not count.

    In every round each arm runs once, and every round begins with another one, so that nobody always
    finds what the same neighbor left in the caches.
    """
    values = {name: arm() for name, arm in arms.items()}
    names = list(arms)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repeats):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            time.sleep(PAUSE)
            seconds[name].append(once(arms[name]))
    return {name: Timed(tuple(taken)) for name, taken in seconds.items()}, values


def once(arm: Arm) -> float:
    """Return the seconds that one call takes."""
    begin = time.perf_counter()
    arm()
    return time.perf_counter() - begin


def quotient(one: Timed, other: Timed) -> float:
    """Return how many times as long one arm took as the other: the median over rounds, each by itself."""
    return median(long / short for long, short in zip(one.seconds, other.seconds, strict=True))


def within(arm: Arm, repeats: int, budget: float) -> Timed:
    """Return the seconds of as many calls as fit into a budget of seconds, at least one.

    The first call is not counted, unless it alone takes the budget.
    """
    first = once(arm)
    if first > budget:
        return Timed((first,))
    taken: list[float] = []
    while len(taken) < repeats and first + sum(taken) < budget:
        taken.append(once(arm))
    return Timed(tuple(taken)) if taken else Timed((first,))
