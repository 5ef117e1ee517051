"""Which bars are features: METHODS 1.3 step by step, with explicit lists that are built anew each time.

The functions named like the rules return the kept bars as a mask in the order of the input. Where the
published code stops with an error or returns NaN, `positive_bars_or_all` holds what this project decided.
"""

import functools
import math
from typing import NamedTuple

from tests.reference.entropy import entropy

# Two sums closer than this are equal: C_i is exactly 1 for x = (2, 1, 1, 1, 1, 4), i = 1, but not in doubles.
ROUNDING = 1e-13


def neutralized(x: list[float], i: int) -> list[float]:
    """L'_i: the first i entries replaced by P_i / e^{h_i}, the rest R_i as it is."""
    rest = x[i:]
    filler = math.fsum(rest) / math.exp(entropy(rest)) if i > 0 else 0.0
    return [filler] * i + rest


# ---- the version for Vietoris-Rips filtrations (1701.07857), by the rule of the published code


class Pass(NamedTuple):
    """One turn of the loop: the size of its list, C_1, C_2, ... up to the first below 1, i and Q."""

    n: int
    ratios: list[float]
    i: int
    expected: float


def expected_features(n: int, alpha: float) -> float:
    """Q = alpha n (alpha - 1 - ln alpha) / (alpha - 1)^2."""
    return alpha * n * (alpha - 1 - math.log(alpha)) / (alpha - 1) ** 2


@functools.cache  # three rules read the same passes
def passes(bars: tuple[float, ...]) -> list[Pass]:
    """The loop for a barcode of more than three positive bars that are not all equal."""
    descending = sorted(bars, reverse=True)
    x = [*descending[1:], descending[0]]  # T, the longest, goes to the end
    shortest, longest = x[-2], x[-1]
    trace = []
    while True:
        n = len(x)
        ratios = []
        for i in range(1, n - 2):  # 1 .. n - 3
            before, after = math.fsum(neutralized(x, i - 1)), math.fsum(neutralized(x, i))
            ratios.append(before / after)
            if before < after * (1 - ROUNDING):
                break
        i = max(len(ratios), 1)  # a list of three has no ratio; it keeps the one bar before r and T
        trace.append(Pass(n, ratios, i, expected_features(n, shortest / longest)))
        if math.ceil(trace[-1].expected) >= i:
            return trace
        x = [*x[:i], shortest, longest]


def longest(count: int, bars: list[float]) -> list[bool]:
    """Mark the `count` longest bars, the earlier one of equals."""
    order = sorted(range(len(bars)), key=lambda j: (-bars[j], j))
    return [j in order[:count] for j in range(len(bars))]


def positive_bars_or_all(bars: list[float]) -> tuple[tuple[float, ...], bool]:
    """Return the positive bars, and whether the decision is to keep them all."""
    positive = tuple(bar for bar in bars if bar > 0)
    return positive, len(positive) <= 3 or min(positive) == max(positive)


def recursive(bars: list[float]) -> list[bool]:
    positive, everything = positive_bars_or_all(bars)
    return longest(len(positive) if everything else 1 + passes(positive)[-1].i, bars)


def single_pass(bars: list[float]) -> list[bool]:
    positive, everything = positive_bars_or_all(bars)
    return longest(len(positive) if everything else 1 + passes(positive)[0].i, bars)


def shifted(bars: list[float]) -> list[bool]:
    positive, everything = positive_bars_or_all(bars)
    return longest(len(positive) if everything else passes(positive)[-1].i, bars)


# ---- the version of 2016 (1605.02885)


def relative_gains(bars: tuple[float, ...]) -> list[float]:
    """H_rel(1) .. H_rel(n) of positive bars that are not all equal."""
    x = sorted(bars, reverse=True)
    n = len(x)
    entropies = [entropy(neutralized(x, i)) for i in range(n)]
    entropies.append(math.log(n))  # no tail is left: all n entries are equal, as they are for i = n - 1
    return [(entropies[i] - entropies[i - 1]) / (math.log(n) - entropies[0]) for i in range(1, n + 1)]


def relative_entropy(bars: list[float]) -> list[bool]:
    positive, everything = positive_bars_or_all(bars)
    if everything:
        return longest(len(positive), bars)
    count = 0
    for i, gain in enumerate(relative_gains(positive), start=1):
        if not gain > i / len(positive):
            break
        count = i
    return longest(count, bars)
