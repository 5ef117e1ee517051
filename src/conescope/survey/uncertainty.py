"""How far a value may be off because other points could have been drawn: the delete-a-group jackknife.

The points are dealt into ten groups of one size (up to nine points stay in none); the measures are taken
ten times, each time without one group. From the variance of these values about their mean

    error^2 = (groups - 1) / groups * sum_g (value_g - mean)^2,    interval = value -+ t_{groups - 1} error.

Unlike a bootstrap it repeats no point, which would make bars of length zero and neighbors at distance
zero. Neighbors are not sought anew, only crossed out. The error of what counts them is then on the long
side, by half for `twonn`: a point that is left out changes the lists of others too, and the jackknife
counts that twice (Efron and Stein 1981). Codebooks are not trained anew, and that part of the error of
cells is not in the interval: it is most of it for patchiness, whose intervals are too short by half.

What looks at all pairs is jackknifed on fewer points, and what is known of more points than are at hand on
those: the error goes down with the square root of the number, or faster, and then the interval is long.

Points that come in units, such as the tokens of a text, are left out by units: those of one unit are in one
group (but for the few at the border of two groups). What is known of more points than are at hand is then
known better only as far as there are more units, since more points of the same units may say the same.

Who is in which group depends on where the points are, not on the order in which they came: the same
points have the same intervals, however they are cut into files.

References: Shao and Tu (1995), The Jackknife and Bootstrap, section 2.3; Efron and Stein (1981), The
jackknife estimate of variance.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from conescope._intervals import student_quantile
from conescope._types import Points
from conescope.measures.row import Measure
from conescope.survey.statistics import Order, Statistics

GROUPS = 10
FEW_PAIRS = 256  # points on which all pairs are looked at ten times
WIDE = 2048  # dimensions from which on ten spectra of many points take too long


class Units(NamedTuple):
    """The number of the unit that each point comes from, and how many units there are in all."""

    numbers: Int64[Tensor, " n"]
    total: int


def intervals(
    statistics: Statistics, rows: Iterable[Measure], n: int, *, seed: int = 0, units: Units | None = None
) -> dict[str, tuple[float, float]]:
    """Return a 95 % interval for each row that has one; n is the number of points that moments count.

    Left out: rows that give no number or none without a group, and all with fewer than 20 points, or units.
    """
    count, d = statistics.points.shape
    if count < 2 * GROUPS:
        return {}
    if units is not None:
        seen = len(torch.unique(units.numbers))
        if seen < 2 * GROUPS:
            return {}
        n = min(n, round(count * units.total / seen))
    few = [row for row in rows if row.jackknife and row.needs != "partners"]
    many = [row for row in few if row.reads in _shared(d)]
    few = [row for row in few if row not in many]
    order = dealt(statistics.points, seed)
    found = _jackknife(statistics, many, order if units is None else by_unit(order, units, seed), n)
    part = order[:FEW_PAIRS]
    if units is not None:
        part = by_unit(part, units, seed)
    if count <= FEW_PAIRS:
        return found | _jackknife(statistics, few, part, n)
    labels = None if statistics.labels is None else statistics.labels[part]
    drawn = Statistics(statistics.points[part], labels, classes=statistics.classes)
    errors = _jackknife(drawn, few, torch.arange(FEW_PAIRS, device=part.device), n, centers=statistics)
    return found | errors


def by_unit(order: Int64[Tensor, " m"], units: Units, seed: int) -> Int64[Tensor, " m"]:
    """Return the same points unit by unit, the units in a random order."""
    shuffled = torch.randperm(units.total, generator=torch.Generator().manual_seed(seed)).to(order.device)
    return order[torch.argsort(shuffled[units.numbers.to(order.device)[order]], stable=True)]


def dealt(points: Points, seed: int) -> Int64[Tensor, " n"]:
    """Return the numbers of the points in a random order that their own order does not change."""
    rows = np.ascontiguousarray((points + 0.0).cpu().numpy())  # + 0.0 turns -0.0 into 0.0
    place = np.argsort(rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1])))[:, 0], kind="stable")
    shuffled = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return torch.from_numpy(place)[shuffled].to(points.device)


def _shared(d: int) -> tuple[str, ...]:
    cheap = ("moments", "neighbors", "quantization")
    return cheap if d > WIDE else (*cheap, "spectrum", "uncentered_spectrum")


def _jackknife(
    statistics: Statistics,
    rows: list[Measure],
    order: Int64[Tensor, " n"],
    n: int,
    centers: Statistics | None = None,
) -> dict[str, tuple[float, float]]:
    if not rows:
        return {}
    count, d = statistics.points.shape
    centers = statistics if centers is None else centers
    for row in rows:  # what is found once, and of which groups are crossed out
        if row.reads in ("neighbors", "quantization"):
            statistics.value(row)
    # groups of one size: what goes with the number of points would differ for that alone
    groups = torch.zeros(GROUPS, count, dtype=torch.bool, device=statistics.points.device)
    groups.scatter_(1, order[: count - count % GROUPS].reshape(GROUPS, -1), True)
    values: dict[str, list[float]] = {row.name: [] for row in rows}
    for rest in statistics.without_each(groups, order=_order_read(rows, wide=d > 0.9 * count)):
        for row in rows:
            values[row.name].append(rest.value(row))
    found = {}
    for row in rows:
        size = len(centers.points) if row.sampled else n
        error = _error(values[row.name]) * math.sqrt(count / size)
        center = centers.value(row)
        if math.isfinite(error) and math.isfinite(center):
            half = student_quantile(GROUPS - 1) * error
            least, greatest = row.bounds(size, d)
            low = max(center - half, min(float(least), center))
            high = min(center + half, max(float(greatest), center))
            found[row.name] = (low + 0.0, high + 0.0)  # + 0.0 turns -0.0 into 0.0
    return found


def _order_read(rows: list[Measure], *, wide: bool) -> Order | None:
    """Return the order of the moments that the rows read; wide clouds have their spectra without moments."""
    reading = [row for row in rows if row.reads == "moments" or ("spectrum" in row.reads and not wide)]
    if not reading:
        return None
    return 2 if any(row.order == 2 for row in reading) else 1


def _error(values: list[float]) -> float:
    if not all(math.isfinite(value) for value in values):
        return math.nan
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return math.sqrt((len(values) - 1) / len(values) * squares)
