"""The standard error of the difference of two classifiers' scores on the same examples.

The delete-one jackknife. The score without one example depends only on the cell (label, first guess, second
guess) that the example is in, so one value for each of the at most C^3 cells is enough:

    error^2 = (n - 1) / n  sum over cells  n_cell (value_cell - mean)^2

For accuracies this is the usual standard error of a mean of paired differences.
Reference: Shao and Tu (1995), The Jackknife and Bootstrap, section 2.1.
"""

import math
from collections import Counter
from collections.abc import Sequence

from conescope.training.scores import classification_scores


def paired_error(labels: Sequence[int], first: Sequence[int], second: Sequence[int], score: str) -> float:
    """Return the standard error of score(first) - score(second); NaN for fewer than two examples.

    Args:
        labels: class numbers.
        first: the classes that one classifier guesses, in the same order.
        second: those of the other.
        score: a name from `conescope.training.scores.SCORES`.

    Raises:
        ValueError: if the numbers of examples differ.
    """
    n = len(labels)
    cells = Counter(zip(labels, first, second, strict=True))
    if n < 2:
        return math.nan
    values = []
    for cell, count in cells.items():
        rows = list((cells - Counter([cell])).elements())
        truth, a, b = (list(column) for column in zip(*rows, strict=True))
        difference = classification_scores(truth, a)[score] - classification_scores(truth, b)[score]
        values.append((difference, count))
    mean = sum(value * count for value, count in values) / n
    return math.sqrt((n - 1) / n * sum(count * (value - mean) ** 2 for value, count in values))
