"""The verdict over sampled steps: is the energy more than variance and shared means explain?

"beyond mechanical" needs both nulls beaten: the 95 % intervals of energy / shuffled and of energy / variance
share lie above 1. "mechanical" if the interval of one of them does not, and ends below 1.1: what may be left
is less than a tenth. Otherwise, or with fewer than three steps, it is "not known". Early are the first 30 %
of the span from the first to the last sampled step, late the last 30 %.
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
    over_shuffled = mean([_over(step.energy, step.shuffled) for step in steps])
    over_variance = mean([step.excess for step in steps])
    both = sum(_over(step.energy, step.shuffled) is not None and step.excess is not None for step in steps)
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


def _over(energy: float, null: float | None) -> float | None:
    return energy / null if null else None


def _end(value: float | None) -> float:
    return math.nan if value is None else value
