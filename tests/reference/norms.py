"""Mean and variation of norms with the statistics module of Python."""

import math
import statistics


def mean_norm(points: list[list[float]]) -> float:
    return statistics.fmean(math.hypot(*row) for row in points)


def norm_variation(points: list[list[float]]) -> float:
    lengths = [math.hypot(*row) for row in points]
    return statistics.pstdev(lengths) / statistics.fmean(lengths)
