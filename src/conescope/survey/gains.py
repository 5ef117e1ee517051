"""Gains: by how much a candidate beats another on the same held-out examples, and whether that is noise.

Of several candidates the best one looks better than it is. So each difference to "nothing" is taken over the
same held-out examples, with a delete-a-group jackknife, and p-values are corrected for their number by Holm's
rule: the chance to recommend anything where all are as good as nothing is about 5 %.

References: Holm (1979), A simple sequentially rejective multiple test procedure; Shao and Tu (1995), The
Jackknife and Bootstrap, section 2.3.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conescope._intervals import jackknife_interval, student_quantile
from conescope.results.advice import Candidate, Change
from conescope.survey.held_out import HeldOut, Values
from conescope.survey.trials import NOTHING, Trials

GROUPS = 10  # of the jackknife
LEVEL = 0.05  # chance of a false recommendation, at most about


class Gain(NamedTuple):
    """A difference of scores, and the half width of its 95 % interval where it has one."""

    value: float
    half: float | None

    def p(self) -> float:
        """Return the two-sided p-value of Student's t with the freedom of the jackknife; nan without one."""
        from scipy.special import stdtr

        if self.half is None:
            return math.nan
        if self.value == 0:
            return 1.0
        error = self.half / student_quantile(GROUPS - 1)
        return 2 * float(stdtr(GROUPS - 1, -abs(self.value) / error)) if error > 0 else 0.0

    def interval(self, comparisons: int = 1) -> tuple[float, float] | None:
        """Return an interval; so many of them hold all true differences in 95 % of cases (Bonferroni)."""
        from scipy.special import stdtrit

        if self.half is None:
            return None
        wider = float(stdtrit(GROUPS - 1, 1 - LEVEL / comparisons / 2)) / student_quantile(GROUPS - 1)
        half = self.half * wider if comparisons > 1 else self.half
        return self.value - half, self.value + half


def gain(one: Values, other: Values, held_out: HeldOut, seed: int) -> Gain:
    """Return the score of one candidate less that of another, from their outcomes for all examples."""

    def difference(chosen: NDArray[np.int64]) -> float:
        return held_out.score(one, chosen) - held_out.score(other, chosen)

    every = np.arange(len(one))
    ends = jackknife_interval(difference, len(every), groups=GROUPS, seed=seed)
    return Gain(difference(every), None if ends is None else (ends[1] - ends[0]) / 2)


def candidates_of(trials: Trials, held_out: HeldOut, seed: int) -> list[Candidate]:
    """Return the candidates with their gains over nothing, and what follows from them."""
    found = []
    for name, outcomes in trials.outcomes.items():
        fix = trials.fixes.get(name)
        cosine, isoscore = (
            _known(float(np.mean(values))) for values in zip(*trials.shapes[name], strict=True)
        )
        one = Candidate(
            name=name,
            kind="" if fix is None else fix.kind_name,
            settings={} if fix is None else fix.get_params(),
            mean_cosine=cosine,
            isoscore=isoscore,
            score=_known(held_out.score(outcomes, np.arange(len(outcomes)))),
        )
        if fix is not None and one.score is not None:
            one = _with_gain(one, gain(outcomes, trials.outcomes[NOTHING], held_out, seed))
        found.append(one)
    return corrected(found)


def corrected(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates with p-values corrected by Holm's rule, and what follows from them."""
    known = sorted((one for one in candidates if one.p is not None), key=lambda one: one.p or 0.0)
    tested = sum(one.kind != "" for one in candidates)  # also those without a value count as tried
    p_values, so_far = {}, 0.0
    for place, one in enumerate(known):
        so_far = max(so_far, min((tested - place) * (one.p or 0.0), 1.0))
        p_values[one.name] = so_far
    return [
        one
        if one.name not in p_values
        else one.model_copy(update={"p": p_values[one.name], "outcome": _change(one, p_values[one.name])})
        for one in candidates
    ]


def _with_gain(one: Candidate, found: Gain) -> Candidate:
    """Return a candidate with the interval and the p-value of its own."""
    ends = found.interval()
    if ends is None:
        return one.model_copy(update={"difference": _known(found.value)})
    return one.model_copy(update={"difference": found.value, "low": ends[0], "high": ends[1], "p": found.p()})


def _change(one: Candidate, p: float) -> Change:
    if p >= LEVEL or one.difference is None:
        return "within noise"
    return "better" if one.difference > 0 else "worse"


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
