"""Whether plain training has learned the task: a score that is no more than a guess has nothing to lose."""

import math
from collections.abc import Mapping, Sequence

STANDARD_ERRORS = 2.0  # beyond which a correlation is more than a guess


def no_more_than_a_guess(scores: Sequence[Mapping[str, float]], examples: int) -> str | None:
    """Return what to say if some seeds of plain training have learned nothing, or None.

    Judged by the Matthews correlation, whatever the main score is, since it is 0 for every guess that does
    not look at the examples, also where one class has nearly all of them. Up to two standard errors of
    such a guess, about 1 / sqrt(examples) each, it is taken for one. A seed without a finite correlation, as
    of a training that diverged, is left to other warnings.

    Args:
        scores: of plain training, "matthews" among them, for each seed.
        examples: on which each was measured.
    """
    known = [row["matthews"] for row in scores if math.isfinite(row.get("matthews", math.nan))]
    guesses = [value for value in known if value <= STANDARD_ERRORS / math.sqrt(examples)]
    if not guesses:
        return None
    listed = ", ".join(f"{value:.3f}" for value in guesses)
    which = "" if len(known) == 1 else f"with {len(guesses)} of {len(known)} seeds, "
    return f"{which}Matthews correlation {listed} on {examples} examples is no more than a guess"
