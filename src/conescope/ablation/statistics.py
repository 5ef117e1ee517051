"""What an ablation may claim: paired differences corrected for the number of arms, the front, a verdict.

Seeds are the units: an arm and plain training with the same seed share head, data order and dropout, so
their difference is what the regularizer did there. Everything here is a pure function of results.
"""

import math
import statistics
from collections.abc import Sequence

from conescope._intervals import CONFIDENCE, student_interval
from conescope.ablation.quantities import HEADLINE, Values, quantities
from conescope.ablation.take_home import verdict
from conescope.results import AblationArm, AblationRun, FrontPoint, PairedDifference

__all__ = ["front", "holm", "paired_differences", "plain_arm", "verdict"]

SIGNIFICANT = 1 - CONFIDENCE
SAME = 1e-12  # differences that agree to this share of the values differ by rounding alone


def paired_differences(arms: Sequence[AblationArm], main_score: str) -> tuple[PairedDifference, ...]:
    """Return every quantity of every arm minus plain, over the seeds that both have finished.

    p is that of the paired t test. It is adjusted by Holm over the arms that could be tested, each
    quantity for itself; the simultaneous intervals are Bonferroni's over the same arms, so they may hold
    zero where Holm, which is sharper, rejects it. No interval and no p, and the verdict "not known":

    - with one seed;
    - where all seeds differ by the same amount other than 0: a score that counts examples repeats by luck,
      and a t test would take the luck for certainty (all differences 0 is "unchanged within noise", p 1);
    - where the quantity is undefined (nan, or missing) with some seed, as after a training that diverged, or
      `steps_to_reach` of an arm that does not reach the target: the mean is over the other seeds, which are
      chosen by their outcome. Without any seed there is no row.

    Without a plain arm nothing can be compared: no rows.

    References: Student (1908); Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    plain = plain_arm(arms)
    if plain is None:
        return ()
    found = [
        _difference(arm.name, quantity)
        for arm in arms
        if arm is not plain
        for quantity in quantities(_pairs(plain, arm), main_score)
        if quantity.pairs
    ]
    adjusted: dict[str, list[PairedDifference]] = {}
    for name in dict.fromkeys(each.name for each in found):
        adjusted[name] = _adjusted([each for each in found if each.name == name])
    corrected = {(each.arm, each.name): each for same in adjusted.values() for each in same}
    return tuple(corrected[each.arm, each.name] for each in found)


def front(arms: Sequence[AblationArm], main_score: str, *, measure: str = HEADLINE) -> tuple[FrontPoint, ...]:
    """Return where each arm stands: mean score and mean anisotropy over the seeds that all arms share.

    An arm is on the front if no other is better in one of the two without being worse in the other.
    Standard errors are over seeds, None with one. An arm without runs, or with an undefined value, has
    no point; arms that share no seed can not be compared, and the front is empty.
    """
    begun = [arm for arm in arms if arm.runs]
    shared = set.intersection(*({run.seed for run in arm.runs} for arm in begun)) if begun else set()
    placed: list[tuple[str, list[float], list[float]]] = []
    for arm in begun:
        runs = [run for run in arm.runs if run.seed in shared]
        scores = [run.scores.get(main_score, math.nan) for run in runs]
        values = [run.geometry.get(measure, math.nan) for run in runs]
        if runs and all(math.isfinite(value) for value in (*scores, *values)):
            placed.append((arm.name, scores, values))
    means = [(statistics.fmean(scores), statistics.fmean(values)) for _, scores, values in placed]
    return tuple(
        FrontPoint(
            arm=name,
            score=score,
            score_error=_error(scores),
            anisotropy=value,
            anisotropy_error=_error(values),
            on_front=not any(
                other >= score and lower <= value and (other, lower) != (score, value)
                for other, lower in means
            ),
        )
        for (name, scores, values), (score, value) in zip(placed, means, strict=True)
    )


def holm(p: Sequence[float]) -> list[float]:
    """Return p values adjusted by Holm: times m, m - 1, ..., 1 from the least on, never falling, at most 1.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p)), key=lambda index: p[index])
    adjusted = [0.0] * len(p)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = highest
    return adjusted


def plain_arm(arms: Sequence[AblationArm]) -> AblationArm | None:
    """Return the arm without a regularizer, or None."""
    return next((arm for arm in arms if arm.settings is None), None)


def _pairs(plain: AblationArm, arm: AblationArm) -> list[tuple[AblationRun, AblationRun]]:
    treated = {run.seed: run for run in arm.runs}
    return [(run, treated[run.seed]) for run in plain.runs if run.seed in treated]


def _error(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def _difference(arm: str, quantity: Values) -> PairedDifference:
    """Return the difference with its own interval and p; the adjusted ones are filled in over all arms."""
    before, after = zip(*quantity.pairs, strict=True)
    scale = max(map(abs, (*before, *after)))
    changes = [0.0 if abs(b - a) <= SAME * scale else b - a for a, b in quantity.pairs]
    interval, p = (None, None) if quantity.chosen else _student(changes, scale)
    return PairedDifference(
        arm=arm,
        name=quantity.name,
        kind=quantity.kind,
        better=quantity.better,
        plain=statistics.fmean(before),
        treated=statistics.fmean(after),
        difference=statistics.fmean(changes),
        seeds=len(changes),
        low=None if interval is None else interval[0],
        high=None if interval is None else interval[1],
        adjusted_low=None,
        adjusted_high=None,
        p=p,
        adjusted_p=None,
        verdict="not known",
    )


def _student(changes: list[float], scale: float) -> tuple[tuple[float, float] | None, float | None]:
    """Return the interval and the p of the paired t test, or (None, None) where there is none."""
    from scipy.special import stdtr

    if not any(changes) and len(changes) > 1:
        return (0.0, 0.0), 1.0
    error = _error(changes)
    if error is None or error <= SAME * scale:
        return None, None
    t = statistics.fmean(changes) / error
    return student_interval(changes), float(2 * stdtr(len(changes) - 1, -abs(t)))


def _adjusted(same: list[PairedDifference]) -> list[PairedDifference]:
    """Return the differences of one quantity, corrected for how many of them were tested."""
    from scipy.special import stdtrit

    tested = [each for each in same if each.p is not None]
    adjusted_p = dict(
        zip(
            (each.arm for each in tested),
            holm([each.p for each in tested if each.p is not None]),
            strict=True,
        )
    )
    corrected = []
    for each in same:
        if each.p is None or each.low is None or each.high is None:
            corrected.append(each)
            continue
        tails = SIGNIFICANT / 2
        wider = stdtrit(each.seeds - 1, 1 - tails / len(tested)) / stdtrit(each.seeds - 1, 1 - tails)
        half = float(wider) * (each.high - each.low) / 2
        corrected.append(
            each.model_copy(
                update={
                    "adjusted_low": each.difference - half,
                    "adjusted_high": each.difference + half,
                    "adjusted_p": adjusted_p[each.arm],
                    "verdict": _word(each, adjusted_p[each.arm]),
                }
            )
        )
    return corrected


def _word(found: PairedDifference, adjusted_p: float) -> str:
    if adjusted_p >= SIGNIFICANT:
        return "unchanged within noise"
    if found.better == "neither":
        return "changed"
    return "improved" if (found.difference > 0) == (found.better == "higher") else "worse"
