"""How long each measure takes by itself: the function of every row of MEASURES, over a grid of sizes."""

from collections.abc import Iterable
from functools import partial
from importlib.util import find_spec

from benchmarks.clouds import Cloud, cloud
from benchmarks.record import GRID, Row, seconds
from benchmarks.timing import Arm, within
from conescope.measures import MEASURES, Measure

CALL = "function"


def each_measure_rows(grid: Iterable[tuple[int, int]], repeats: int, budget: float) -> list[Row]:
    """Return the milliseconds of every measure at every size; each may take a budget of seconds."""
    rows = []
    for n, d in grid:
        some = cloud(n, d)
        for measure in MEASURES.values():
            if measure.package and find_spec(measure.package) is None:
                continue
            times = {CALL: within(call(measure, some), repeats, budget)}
            rows.append(
                Row(
                    benchmark=GRID,
                    what=measure.name,
                    n=n,
                    d=d,
                    value=1e3 * times[CALL].median,
                    unit="ms",
                    seconds=seconds(times),
                )
            )
    return rows


def call(measure: Measure, some: Cloud) -> Arm:
    """Return the measure of a cloud, with what it needs besides the points."""
    if measure.needs == "labels":
        return partial(measure.function, some.points, some.labels)
    if measure.needs == "partners":
        return partial(measure.function, some.points, some.partners)
    return partial(measure.function, some.points)
