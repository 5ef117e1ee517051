"""Does the regularizer help? Paired differences between the arms, with intervals, in words."""

import math
import statistics
from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conescope._intervals import jackknife_interval, student_interval
from conescope.measures import MEASURES
from conescope.results import Arm, Difference, Run
from conescope.training.scores import SCORES, classification_scores

Better: TypeAlias = Literal["higher", "lower", "neither"]
Verdict: TypeAlias = Literal["improved", "unchanged within noise", "worse", "changed", "not known"]
Statistic: TypeAlias = Callable[[NDArray[np.int64]], float]

HEADLINE = "anisotropy_1"  # the geometry a comparison is judged by: centered, as the mean can not be moved

OUTCOMES: dict[Verdict, str] = {
    "improved": "improved",
    "unchanged within noise": "is unchanged within noise",
    "worse": "got worse",
    "changed": "changed",
    "not known": "can not be judged",
}


def differences(
    plain: Arm, treated: Arm, labels: Tensor, points: Callable[[str, int], Tensor]
) -> list[Difference]:
    """Return every score, measure and time of the treated arm minus the plain arm, seed by seed.

    With two seeds or more the interval is Student's over the seeds. With one it is the jackknife over
    the held-out examples, which says nothing about other seeds. `points(arm, seed)` gives embeddings.
    """
    pairs = list(zip(plain.runs, treated.runs, strict=True))
    found = []
    for score in SCORES:
        found.append(
            _difference(treated.name, score, "task", "higher", pairs, _score(score, labels), score_of(score))
        )
    for name in plain.runs[0].after.measurement.names():
        of = measure_of(name)
        if all(math.isfinite(of(run)) for pair in pairs for run in pair):
            statistic = _geometry(name, labels, points, plain.name, treated.name)
            found.append(
                _difference(treated.name, name, "geometry", MEASURES[name].better, pairs, statistic, of)
            )
    found.append(
        _difference(treated.name, "step_seconds", "time", "lower", pairs, None, lambda run: run.step_seconds)
    )
    return found


def score_of(name: str) -> Callable[[Run], float]:
    """Return the function that reads a task score of a run."""
    return lambda run: run.scores[name]


def measure_of(name: str) -> Callable[[Run], float]:
    """Return the function that reads a measure of the embeddings after a run; NaN where undefined."""

    def read(run: Run) -> float:
        values = {measured.name: measured.value for measured in run.after.measurement.values}
        value = values.get(name)
        return math.nan if value is None else value

    return read


def _difference(
    arm: str,
    name: str,
    kind: Literal["task", "geometry", "time"],
    better: Better,
    pairs: list[tuple[Run, Run]],
    statistic: Callable[[Run, Run], Statistic] | None,
    value: Callable[[Run], float],
) -> Difference:
    before = [value(plain) for plain, _ in pairs]
    after = [value(treated) for _, treated in pairs]
    changes = [b - a for a, b in zip(before, after, strict=True)]
    if len(pairs) > 1:
        interval, basis = student_interval(changes), f"{len(pairs)} seeds"
    elif statistic is not None:
        count = len(pairs[0][0].predictions)
        interval, basis = (
            jackknife_interval(statistic(*pairs[0]), count),
            f"{count} held-out examples, one seed",
        )
    else:
        interval, basis = None, "one seed"
    low, high = interval if interval is not None else (None, None)
    return Difference(
        arm=arm,
        name=name,
        kind=kind,
        better=better,
        plain=statistics.fmean(before),
        regularized=statistics.fmean(after),
        difference=statistics.fmean(changes),
        low=low,
        high=high,
        basis=basis,
        verdict=verdict_on(low, high, better),
    )


def verdict_on(low: float | None, high: float | None, better: Better) -> Verdict:
    """Return the verdict in words: a change counts only if its interval leaves zero out."""
    if low is None or high is None:
        return "not known"
    if low <= 0 <= high:
        return "unchanged within noise"
    if better == "neither":
        return "changed"
    return "improved" if (low > 0) == (better == "higher") else "worse"


def verdict_sentence(found: list[Difference], main_score: str, seeds: int) -> str:
    """Return what a reader should take home about task and geometry; with one arm, in numbers too."""
    if not found:
        return "No comparison: the plain arm was not trained, so what the regularizer changed is not known."
    arms = list(dict.fromkeys(difference.arm for difference in found))
    alike: dict[str, list[str]] = {}  # what happened, and to which arms
    for arm in arms:
        mine = {difference.name: difference for difference in found if difference.arm == arm}
        judged = {"task": mine[main_score]} | ({"geometry": mine[HEADLINE]} if HEADLINE in mine else {})
        parts = [f"the {what} {_outcome(change, len(arms) == 1)}" for what, change in judged.items()]
        alike.setdefault(" and ".join(parts), []).append(arm)
    sentences = [f"{', '.join(names)}: {outcome}." for outcome, names in alike.items()]
    if seeds == 1:
        sentences.append("This is one seed; another may say otherwise.")
    elif len(arms) > 1:
        sentences.append("Intervals are not corrected for the number of arms.")
    return " ".join(sentences)


def _outcome(change: Difference, in_numbers: bool) -> str:
    name = {
        "matthews": "Matthews correlation",
        "macro_f1": "macro F1",
        HEADLINE: "anisotropy_1, centered",
    }.get(change.name, change.name)
    interval = "" if change.low is None else f" [{change.low:+.3f}, {change.high:+.3f}]"
    numbers = f" ({name} {change.difference:+.3f}{interval})" if in_numbers else ""
    return OUTCOMES[change.verdict] + numbers


def _score(name: str, labels: Tensor) -> Callable[[Run, Run], Statistic]:
    truth = labels.numpy()

    def paired(plain: Run, treated: Run) -> Statistic:
        guesses = [np.array(run.predictions) for run in (plain, treated)]

        def statistic(rows: NDArray[np.int64]) -> float:
            before, after = (
                classification_scores(truth[rows].tolist(), g[rows].tolist())[name] for g in guesses
            )
            return after - before

        return statistic

    return paired


def _geometry(
    name: str, labels: Tensor, points: Callable[[str, int], Tensor], plain_arm: str, treated_arm: str
) -> Callable[[Run, Run], Statistic]:
    row = MEASURES[name]

    def paired(plain: Run, treated: Run) -> Statistic:
        clouds = [points(plain_arm, plain.seed), points(treated_arm, treated.seed)]

        def statistic(rows: NDArray[np.int64]) -> float:
            chosen = torch.from_numpy(rows)
            extra = (labels[chosen],) if row.needs_labels else ()
            before, after = (float(row.function(cloud[chosen], *extra)) for cloud in clouds)
            return after - before

        return statistic

    return paired
