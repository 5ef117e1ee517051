"""How far a value may be off because other points could have been drawn: the delete-a-group jackknife.

The points are dealt into ten groups; the measures are taken ten times, each time without one group. From
the variance of these values about their mean

    error^2 = (groups - 1) / groups * sum_g (value_g - mean)^2,    interval = value -+ t_{groups - 1} error.

Unlike a bootstrap it repeats no point, which would make bars of length zero and neighbors at distance
zero. Neighbors are not sought anew, only crossed out, and codebooks are not trained anew: that part of
the error of cells is not in the interval. What looks at all pairs is jackknifed on fewer points, and what
is known of more points than are at hand is jackknifed on those: the error goes down with the square root
of the number.

Reference: Shao and Tu (1995), The Jackknife and Bootstrap, section 2.3.
"""

import math
from collections.abc import Iterable

import torch

from conescope._intervals import student_quantile
from conescope.measures.row import Measure
from conescope.survey.statistics import Statistics

GROUPS = 10
FEW_PAIRS = 1024  # points on which all pairs are looked at ten times
WIDE = 2048  # dimensions from which on ten spectra of many points take too long


def intervals(
    statistics: Statistics, rows: Iterable[Measure], n: int, *, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return a 95 % interval for each row that has one; n is the number of points that moments count.

    Left out: rows that give no number or none without a group, and all with fewer than 20 points.
    """
    count, d = statistics.points.shape
    if count < 2 * GROUPS:
        return {}
    few = [row for row in rows if row.jackknife and row.needs != "partners"]
    many = [row for row in few if row.reads in _shared(d)]
    few = [row for row in few if row not in many]
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    found = _jackknife(statistics, many, order, n)
    if count <= FEW_PAIRS:
        return found | _jackknife(statistics, few, order, n)
    part = order[:FEW_PAIRS].sort().values.to(statistics.points.device)
    labels = None if statistics.labels is None else statistics.labels[part]
    drawn = Statistics(statistics.points[part], labels, classes=statistics.classes)
    errors = _jackknife(drawn, few, torch.arange(FEW_PAIRS), n, centers=statistics)
    return found | errors


def _shared(d: int) -> tuple[str, ...]:
    cheap = ("moments", "neighbors", "quantization")
    return cheap if d > WIDE else (*cheap, "spectrum", "uncentered_spectrum")


def _jackknife(
    statistics: Statistics,
    rows: list[Measure],
    order: torch.Tensor,
    n: int,
    centers: Statistics | None = None,
) -> dict[str, tuple[float, float]]:
    if not rows:
        return {}
    count = len(statistics.points)
    centers = statistics if centers is None else centers
    for row in rows:  # what is found once, and of which groups are crossed out
        if row.reads in ("neighbors", "quantization"):
            statistics.value(row)
    values: dict[str, list[float]] = {row.name: [] for row in rows}
    for group in range(GROUPS):
        chosen = torch.zeros(count, dtype=torch.bool, device=statistics.points.device)
        chosen[order[group::GROUPS].to(chosen.device)] = True
        rest = statistics.without(chosen)
        for row in rows:
            values[row.name].append(rest.value(row))
    found = {}
    for row in rows:
        size = len(centers.points) if row.sampled else n
        error = _error(values[row.name]) * math.sqrt(count / size)
        center = centers.value(row)
        if math.isfinite(error) and math.isfinite(center):
            half = student_quantile(GROUPS - 1) * error
            low, high = row.bounds(n, centers.points.shape[1])
            found[row.name] = (max(center - half, min(low, center)), min(center + half, max(high, center)))
    return found


def _error(values: list[float]) -> float:
    if not all(math.isfinite(value) for value in values):
        return math.nan
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return math.sqrt((len(values) - 1) / len(values) * squares)
