"""The verdict over sampled steps: is the energy more than variance and shared means explain?

"beyond mechanical" needs both nulls beaten: the 95 % intervals of energy over shuffled and of energy over
variance share lie above 1. "mechanical" if the interval of one of them does not, and ends below 1.1: what may
be left is less than a tenth. Otherwise, or with fewer than three steps, it is "not known". Early are the
first 30 % of the span from the first to the last sampled step, late the last 30 %.

At each step one permutation is drawn. If g and x are independent, G and the G of that permutation have one
law, so the mean of energy - shuffled is zero whatever the laws of g and x; it is this paired difference that
has the interval, told as 1 + difference / mean of shuffled. (A mean of quotients would not do: where few
positions carry the gradient, that of energy and its expected null lies above 1 for pure noise.)
"""

import math
import statistics
from collections.abc import Sequence

from conescope._intervals import student_interval
from conescope.results.dynamics import Mean, PhaseName, TangentPhase, TangentStep, Verdict

SHARE = 0.3
MARGIN = 1.1  # below it, an excess is too small to call
FEWEST = 3  # steps


def phases(steps: Sequence[TangentStep]) -> tuple[TangentPhase, ...]:
    """Return the phases all, early and late of some sampled steps, in this order."""
    if not steps:
        return tuple(phase(name, ()) for name in ("all", "early", "late"))
    first, last = steps[0].step, steps[-1].step
    span = last - first
    early = [step for step in steps if step.step <= first + SHARE * span]
    late = [step for step in steps if step.step >= last - SHARE * span]
    return phase("all", steps), phase("early", early), phase("late", late)


def phase(name: PhaseName, steps: Sequence[TangentStep]) -> TangentPhase:
    """Return the means of a phase and its verdict."""
    over_shuffled = over([(step.energy, step.shuffled) for step in steps])
    over_variance = mean([step.excess for step in steps])
    both = sum(step.shuffled is not None and step.excess is not None for step in steps)
    verdict, why = judged(over_shuffled, over_variance, both)
    return TangentPhase(
        name=name,
        steps=len(steps),
        first=steps[0].step if steps else None,
        last=steps[-1].step if steps else None,
        energy=mean([step.energy for step in steps]),
        ratio=mean([step.ratio for step in steps]),
        over_shuffled=over_shuffled,
        over_variance=over_variance,
        delta=mean([step.delta for step in steps]),
        random=mean([step.random for step in steps]),
        following=mean([step.following for step in steps]),
        uncentered=mean([step.uncentered for step in steps]),
        other=mean([step.other for step in steps]),
        p=statistics.median(step.p for step in steps) if steps else None,
        verdict=verdict,
        why=why,
    )


def judged(over_shuffled: Mean, over_variance: Mean, steps: int) -> tuple[Verdict, str]:
    """Return the verdict that two means of ratios give, and the reason; `steps` are those with both."""
    nulls = {"shuffled gradients": over_shuffled, "variance": over_variance}
    if steps < FEWEST or any(null.low is None for null in nulls.values()):
        return "not known", f"an interval needs {FEWEST} sampled steps with both nulls, there are {steps}"
    unbeaten = [name for name, null in nulls.items() if not _end(null.low) > 1]
    if not unbeaten:
        return "beyond mechanical", "above shuffled gradients and above the variance share"
    small = [name for name in unbeaten if _end(nulls[name].high) < MARGIN]
    if small:
        return "mechanical", f"not above what {' and '.join(small)} explain{'' if len(small) > 1 else 's'}"
    return "not known", f"intervals are too wide to tell it from {' and '.join(unbeaten)}"


def mean(values: Sequence[float | None]) -> Mean:
    """Return the mean of the values there are, with Student's interval."""
    known = [value for value in values if value is not None]
    if not known:
        return Mean(value=None)
    low, high = student_interval(known) or (None, None)
    return Mean(value=statistics.fmean(known), low=low, high=high)


def over(pairs: Sequence[tuple[float, float | None]]) -> Mean:
    """Return the mean energy over the mean null of the steps that have one.

    The interval is that of the paired difference, in units of the mean null.
    """
    known = [(energy, null) for energy, null in pairs if null is not None]
    unit = statistics.fmean(null for _, null in known) if known else 0.0
    if not unit > 0:
        return Mean(value=None)
    found = mean([(energy - null) / unit for energy, null in known])
    return Mean(**{name: None if end is None else 1 + end for name, end in found.model_dump().items()})


def _end(value: float | None) -> float:
    return math.nan if value is None else value
