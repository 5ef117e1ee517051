"""How soon a model is as good as another one at its end."""

import itertools
from collections.abc import Sequence


def steps_to_reach(curve: Sequence[tuple[int | float, float]], target: float) -> float | None:
    """Return the first step at which the score is at least the target; None if it never is.

    Between two evaluations the score is taken to change linearly, so that the result does not jump by the
    distance of evaluations. If the first one is there already, its step is the answer: nothing is known
    before it. A score that falls below the target later has reached it nevertheless.

    Args:
        curve: (step, score), steps increasing.
        target: in the units of the score.

    Raises:
        ValueError: if the steps do not increase.

    >>> steps_to_reach([(10, 0.25), (20, 0.5), (30, 0.25)], 0.375)
    15.0
    """
    steps = [step for step, _ in curve]
    if any(later <= earlier for earlier, later in itertools.pairwise(steps)):
        raise ValueError(f"steps must increase, got {steps}")
    for number, (step, score) in enumerate(curve):
        if score >= target:
            if number == 0:
                return float(step)
            before, low = curve[number - 1]
            return float(before + (step - before) * (target - low) / (score - low))
    return None
