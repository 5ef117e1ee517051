"""The test of one slice with complex exponentials, knot by knot on the whole of [-3, 3]."""

import cmath
import math
from collections.abc import Sequence


def statistic(sample: Sequence[float]) -> float:
    step = 3 / 16
    total = 0.0
    for knot in range(-16, 17):
        t = step * knot
        normal = math.exp(-t * t / 2)
        empirical = sum(cmath.exp(1j * t * y) for y in sample) / len(sample)
        total += step * (0.5 if abs(knot) == 16 else 1) * abs(empirical - normal) ** 2 * normal
    return len(sample) * total
