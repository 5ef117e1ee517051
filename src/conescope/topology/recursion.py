"""The rules of `selection` that follow alpha, list by list, as a loop that can be compiled.

`selection` makes a table of all lists that a barcode may lead to, as its shapes must not depend on the data;
here only those are looked at that are met. The sums are the same, term by term.
"""

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-12  # sums of equal bars differ by their rounding; a difference below this share is none
NEAR = 1e-3  # to alpha = 1: there Q / n has a series


def kept_by_alpha(  # noqa: C901 - compiled code calls no function that is not compiled
    lengths: NDArray[np.float64], once: bool, fewer: int
) -> NDArray[np.bool_]:
    """Return which bars of each row are features.

    Args:
        lengths: (barcodes, bars), of any order and unit; bars of length zero, or NaN, are not kept.
        once: stop after the first pass.
        fewer: bars less than T and x_1 .. x_i, 0 or 1.
    """
    rows, width = lengths.shape
    kept = np.zeros((rows, width), dtype=np.bool_)
    sums, logs = np.zeros(width + 1), np.zeros(width + 1)
    for row in range(rows):
        positive = lengths[row] > 0
        # of equal bars the first one comes first
        order = np.argsort(np.where(positive, -lengths[row], 0), kind="mergesort")
        count = positive.sum()
        if count == 0:
            continue
        longest = max(lengths[row, order[0]], np.finfo(np.float64).tiny)
        shortest = lengths[row, order[count - 1]] / longest
        features = count
        if count > 3 and not shortest >= 1 - TOLERANCE:
            for place in range(1, count):
                bar = lengths[row, order[place]] / longest
                sums[place] = sums[place - 1] + bar
                logs[place] = logs[place - 1] + bar * np.log(bar)
            gap = shortest - 1
            if abs(gap) < NEAR:
                share = shortest * (0.5 - gap / 3 + gap**2 / 4 - gap**3 / 5)
            else:
                share = shortest * (gap - np.log(shortest)) / gap**2
            k = count - 2
            while True:
                first = max(k - 1, 1)
                before = 0.0
                for i in range(k):  # S_i of the list x_1 .. x_k, r, T, up to its first fall
                    tail = sums[k] - sums[i] + (shortest + 1)
                    tail_log = logs[k] - logs[i] + shortest * np.log(shortest)
                    total = tail + i * np.exp(tail_log / tail)
                    if i > 0 and before < total * (1 - TOLERANCE):
                        first = i
                        break
                    before = total
                following = k if np.ceil(share * (k + 2)) >= first else first
                if once or following == k:
                    break
                k = following
            features = 1 + first - fewer
        for place in range(features):
            kept[row, order[place]] = True
    return kept
