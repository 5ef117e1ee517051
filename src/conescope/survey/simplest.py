"""The simplest fix that is as good as the best.

Where several fixes help, that one has the highest score is often chance. A simpler one takes fewer numbers
from the data and keeps more of the space as it is, so it depends less on the sample that it was fitted on.
Each of the candidates that beat nothing beyond noise is compared with the best of them over the same held-out
examples, and the first in the order of simplicity whose interval reaches zero is recommended. The intervals
are corrected by Bonferroni's rule for the number of candidates that the best one could be compared with.

References: Hsu (1984), Constrained simultaneous confidence intervals for multiple comparisons with the best,
for the question; Breiman, Friedman, Olshen and Stone (1984), Classification and Regression Trees, section
3.4.3, for a like answer, the rule of one standard error.
"""

from collections.abc import Sequence

from conescope.results.advice import Candidate
from conescope.survey.gains import gain
from conescope.survey.held_out import HeldOut
from conescope.survey.trials import Trials


def best_of(candidates: Sequence[Candidate]) -> str | None:
    """Return the candidate with the highest score among those that beat nothing beyond noise."""
    better = [one for one in candidates if one.outcome == "better"]
    return max(better, key=lambda one: one.score or 0.0).name if better else None


def measured_against(
    best: str, candidates: Sequence[Candidate], trials: Trials, held_out: HeldOut, seed: int
) -> list[Candidate]:
    """Return the candidates; those that beat nothing with the difference to the best and its interval."""
    comparisons = max(len(trials.fixes) - 1, 1)
    found = []
    for one in candidates:
        if one.outcome == "better":
            behind = gain(trials.outcomes[one.name], trials.outcomes[best], held_out, seed)
            low, high = behind.interval(comparisons) or (None, None)
            update = {"to_best": behind.value, "to_best_low": low, "to_best_high": high}
            one = one.model_copy(update=update)
        found.append(one)
    return found


def simplest_of(candidates: Sequence[Candidate]) -> str | None:
    """Return the first candidate as good as the best within noise; they are in the order of simplicity.

    None where none is measured against a best one, which is measured against itself.
    """
    as_good = (one.name for one in candidates if one.to_best_high is not None and one.to_best_high >= 0)
    return next(as_good, None)
