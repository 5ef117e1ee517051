"""Which measures go with the score of fine-tuned models, and what of that is left at equal doses of noise?

Measures and scores both follow the percentage of noise, and so correlate whatever one has to do with the
other. The rank correlation over runs stands beside two partial ones, given the rank of the percentage and
given each of its levels: the latter looks at differences between runs of one percentage alone.
"""

import math
from collections.abc import Sequence

import numpy as np

from conescope.predict.associations import partial
from conescope.predict.least_squares import Matrix, Vector
from conescope.predict.model import design, rank_among
from conescope.results import PerturbedRun, ScoredTask, TaskRun
from conescope.results.prediction import Association
from conescope.results.scored_task import GIVEN_LEVEL, GIVEN_RANK

FEWEST = 3  # runs of which ranks are correlated at all


def score_associations(
    measured: Sequence[PerturbedRun], scored: Sequence[TaskRun], score: str
) -> tuple[Association, ...]:
    """Return the correlations of every measure with a score, over the runs that have both.

    A run is one draw of noise at one percentage. Without noise the fine-tunings share one measurement, which
    counts with each. A measure that is not finite in a run is left out there. Given levels needs more than
    one run at a percentage: it is left out where runs do not outnumber levels by two.
    """
    measurements = {(run.percent, run.seed): run.measurement for run in measured}
    unperturbed = next((run.measurement for run in measured if run.percent == 0), None)
    found: list[Association] = []
    for name in measured[0].measurement.names():
        rows = []
        for run in scored:
            measurement = measurements.get((run.percent, run.seed), None if run.percent else unperturbed)
            value = None if measurement is None else measurement.measured(name).value
            if value is not None and math.isfinite(value):
                rows.append((run.percent, value, run.scores[score]))
        if len(rows) >= FEWEST:
            found += rank_correlations(name, *np.array(rows, dtype=np.float64).T)
    return tuple(found)


def rank_correlations(name: str, percents: Vector, values: Vector, scores: Vector) -> list[Association]:
    """Return the rank correlation of values (n,) and scores (n,): plain, given ranks, given levels (n,)."""
    return [partial(name, "rank", given, values, scores, columns) for given, columns in conditions(percents)]


def conditions(percents: Vector) -> list[tuple[tuple[str, ...], Matrix]]:
    """Return what is held in each correlation of runs at percentages (n,), by name and as columns (n, m)."""
    _, level = np.unique(percents, return_inverse=True)
    levels = int(level.max()) + 1
    none = np.empty((len(percents), 0))
    held: list[tuple[tuple[str, ...], Matrix]] = [((), none)]
    if levels > 1:
        held.append((GIVEN_RANK, rank_among(np.sort(percents), percents)[:, None]))
    if len(percents) > levels + 2:
        held.append((GIVEN_LEVEL, design(none, level, levels)[:, 1:]))
    return held


def told(task: ScoredTask) -> list[str]:
    """Return what a reader must know of a task: what the dose explains, and what is left beside it."""
    groups: dict[str, list[str]] = {}
    for measure in task.measures():
        groups.setdefault(task.outcome(measure), []).append(measure)
    found = []
    explained, beyond = groups.get("explained by the dose", []), groups.get("beyond the dose", [])
    if explained:
        found.append(
            f"{task.name}: explained by the dose is how {', '.join(explained)} go with {task.main_score}; at "
            "equal percentages nothing beyond noise is left"
        )
    if beyond:
        count = len(task.measures())
        found.append(
            f"{task.name}: {', '.join(beyond)} go with {task.main_score} at equal percentages, too; "
            f"of {count} measures one in twenty or so does by chance"
        )
    seen = {run.scores[task.main_score] for run in task.runs}
    if len(task.runs) > 1 and len(seen) == 1:
        found.append(
            f"{task.name}: {task.main_score} is {seen.pop():.3g} in all {len(task.runs)} runs: no "
            "measure can be judged by it; give the fine-tuning more examples or epochs"
        )
    noise = task.noise(task.main_score)
    if noise is not None:
        found.append(
            f"{task.name}: without noise in the weights, {task.main_score} has standard deviation "
            f"{noise:.3g} over the seeds of fine-tuning"
        )
    return found
