"""Whether plain training has learned the task: a score that is no more than a guess has nothing to lose."""

import math
import statistics
from collections import Counter
from collections.abc import Sequence

from conescope.ablation.take_home import WORDS

STANDARD_ERRORS = 2.0  # beyond which a score is more than a guess


def guessed(score: str, labels: Sequence[int]) -> float:
    """Return what a guess reaches on these examples but for once in some forty times.

    Accuracy: the share of the most frequent class, and two standard errors of a share. Matthews correlation:
    0, and two of its standard errors where guesses do not depend on labels, about 1 / sqrt(n).

    >>> guessed("accuracy", [0] * 75 + [1] * 25)
    0.8366...
    >>> guessed("matthews", [0] * 75 + [1] * 25)
    0.2
    """
    n = len(labels)
    if score == "matthews":
        return STANDARD_ERRORS / math.sqrt(n)
    share = max(Counter(labels).values()) / n
    return share + STANDARD_ERRORS * math.sqrt(share * (1 - share) / n)


def no_more_than_a_guess(score: str, values: Sequence[float], labels: Sequence[int]) -> str | None:
    """Return what to say of scores of plain training whose mean is no more than a guess, or None.

    Scores that are not finite, as of a training that diverged, are left to other warnings.
    """
    known = [value for value in values if math.isfinite(value)]
    if not known or not labels or statistics.fmean(known) > guessed(score, labels):
        return None
    name = WORDS.get(score, score)
    return f"{name} {statistics.fmean(known):.3f} on {len(labels)} examples is no more than a guess"
