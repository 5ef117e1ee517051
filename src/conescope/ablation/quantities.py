"""What is compared between an arm and plain training, as pairs of numbers, one pair a seed."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from conescope.ablation.convergence import steps_to_reach
from conescope.measures import MEASURES
from conescope.results import AblationRun

HEADLINE = "anisotropy_1"  # the geometry an arm is judged by: centered, as most losses can not move the mean

Kind: TypeAlias = Literal["task", "calibration", "convergence", "generalization", "geometry", "time"]
Better: TypeAlias = Literal["higher", "lower", "neither"]
Pairs: TypeAlias = Sequence[tuple[AblationRun, AblationRun]]  # (plain, treated) of the same seed


class Values(NamedTuple):
    """A quantity with its finite values, (plain, treated) for each seed.

    `chosen`: seeds are missing because of how they ended (one diverged, or never reached the target), so
    that the rest is no fair sample.
    """

    name: str
    kind: Kind
    better: Better
    pairs: list[tuple[float, float]]
    chosen: bool = False


def quantities(pairs: Pairs, main_score: str) -> Iterator[Values]:
    """Yield every quantity of the pairs, the main score first."""
    plain = [run for run, _ in pairs]
    scores = dict.fromkeys((main_score, *_names(run.scores for run in plain)))
    for name in scores:
        yield _read(pairs, name, "task", "higher", _in("scores", name))
    for name in _names(run.calibration for run in plain):
        yield _read(pairs, name, "calibration", "lower", _in("calibration", name))
    yield _convergence(pairs, main_score)
    yield _read(pairs, f"{main_score}_gap", "generalization", "lower", lambda run: score_gap(run, main_score))
    yield _read(pairs, "nll_gap", "generalization", "lower", nll_gap)
    for name in _names(run.geometry for run in plain):
        better = MEASURES[name].better if name in MEASURES else "neither"
        yield _read(pairs, name, "geometry", better, _in("geometry", name))
    yield _read(pairs, "step_seconds", "time", "lower", lambda run: run.step_seconds)
    yield _read(pairs, "regularizer_share", "time", "lower", regularizer_share)


def score_gap(run: AblationRun, score: str) -> float:
    """Return the score on training examples minus that on dev; nan if one is missing."""
    return run.train_scores.get(score, math.nan) - run.scores.get(score, math.nan)


def nll_gap(run: AblationRun) -> float:
    """Return the negative log likelihood on dev minus that on training examples, in nats."""
    return run.calibration.get("nll", math.nan) - run.train_scores.get("nll", math.nan)


def regularizer_share(run: AblationRun) -> float:
    """Return the part of a step that the regularizer takes, from 0 to 1; nan for a run without steps."""
    return run.regularizer_seconds / run.step_seconds if run.step_seconds > 0 else math.nan


def score_curve(run: AblationRun, score: str) -> list[tuple[float, float]]:
    """Return (step, score on dev) while training, in order, with that of the trained model at the end."""
    known = {row["step"]: row[score] for row in run.curve if "step" in row and score in row}
    if score in run.scores:
        known[float(run.steps)] = run.scores[score]
    return sorted(known.items())


def _convergence(pairs: Pairs, score: str) -> Values:
    """Return the steps until each run reaches what plain training of its seed ends with."""
    steps = []
    for plain, treated in pairs:
        target = plain.scores.get(score, math.nan)
        if math.isfinite(target):
            steps.append((_needed(plain, score, target), _needed(treated, score, target)))
    reached = _finite(steps)
    return Values("steps_to_reach", "convergence", "lower", reached, chosen=len(reached) < len(steps))


def _needed(run: AblationRun, score: str, target: float) -> float:
    found = steps_to_reach(score_curve(run, score), target)
    return math.nan if found is None else found


def _read(pairs: Pairs, name: str, kind: Kind, better: Better, of: Callable[[AblationRun], float]) -> Values:
    found = _finite([(of(plain), of(treated)) for plain, treated in pairs])
    return Values(name, kind, better, found, chosen=len(found) < len(pairs))


def _in(table: Literal["scores", "calibration", "geometry"], name: str) -> Callable[[AblationRun], float]:
    """Return the function that reads a number of a run; nan where it is missing."""

    def read(run: AblationRun) -> float:
        numbers: dict[str, float] = getattr(run, table)
        return numbers.get(name, math.nan)

    return read


def _finite(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [pair for pair in pairs if all(map(math.isfinite, pair))]


def _names(tables: Iterator[dict[str, float]]) -> dict[str, None]:
    return {name: None for table in tables for name in table}
