"""95 % intervals of paired differences: over seeds, or over examples where there is one seed."""

import math
import statistics
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95


def student_interval(differences: Sequence[float]) -> tuple[float, float] | None:
    """Return the t interval of the mean of paired differences; None for fewer than two of them.

    It assumes differences of about normal distribution. With three, its half width is 2.48 of their
    standard deviation: few seeds say little, and the interval shows it.
    """
    if len(differences) < 2:
        return None
    center = statistics.fmean(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    half = student_quantile(len(differences) - 1) * error
    return center - half, center + half


def jackknife_interval(
    statistic: Callable[[NDArray[np.int64]], float], count: int, *, groups: int = 10, seed: int = 0
) -> tuple[float, float] | None:
    """Return the delete-a-group jackknife interval of a statistic of rows; None for fewer rows than groups.

    Unlike a bootstrap it repeats no row, which would make zero-length bars and hollow neighborhoods. The
    statistic gets the numbers of the rows to use. NaN in any group gives None.

    Reference: Shao and Tu (1995), The Jackknife and Bootstrap, section 2.3.
    """
    if count < 2 * groups:
        return None
    rows = np.random.default_rng(seed).permutation(count)
    values = [statistic(np.sort(np.delete(rows, slice(g, None, groups)))) for g in range(groups)]
    if not all(math.isfinite(value) for value in values):
        return None
    center = statistic(np.arange(count))
    error = math.sqrt((groups - 1) * statistics.pvariance(values))
    half = student_quantile(groups - 1) * error
    return center - half, center + half


def student_quantile(freedom: int) -> float:
    """Return the quantile of Student's t that leaves 2.5 % above it."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))
