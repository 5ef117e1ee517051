"""How drift goes with sharpness over the heads of a stack, with bootstrap intervals over heads."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from conescope.results import MeasuredValue
from conescope.results.attention import Correlation, Head

DRIFTS = ("|cosine|", "query_drift*key_drift", "|product|/sqrt(d)")
SHARPNESS = ("1-entropy", "maximum")
DRAWS = 2000
FEWEST = 4  # heads, for an interval
TOLD = "heads of one model are not independent: intervals over heads are narrower than they should be"


def correlations(heads: Sequence[Head], *, seed: int) -> tuple[Correlation, ...]:
    """Return the correlations of each drift with each sharpness, for each stack and kind of attention.

    Heads without one of the numbers are left out.
    """
    found = []
    for stack, kind in dict.fromkeys((head.stack, head.kind) for head in heads):
        mine = [head for head in heads if (head.stack, head.kind) == (stack, kind)]
        rows = [_numbers(head) for head in mine]
        for drift in DRIFTS:
            for sharp in SHARPNESS:
                pairs = np.array([(row[drift], row[sharp]) for row in rows])
                pairs = pairs[np.isfinite(pairs).all(axis=1)]
                rank, linear = correlated(pairs, seed=seed)
                found.append(
                    Correlation(
                        stack=stack,
                        kind=kind,
                        drift=drift,
                        sharpness=sharp,
                        heads=len(pairs),
                        rank=rank,
                        linear=linear,
                    )
                )
    return tuple(found)


def correlated(pairs: NDArray[np.float64], *, seed: int) -> tuple[MeasuredValue, MeasuredValue]:
    """Return the rank (Spearman) and linear (Pearson) correlation of two columns, with percentile intervals.

    Draws of heads in which a column is constant are left out. There is no interval for fewer than 4 heads,
    nor if half of the draws are left out.
    """
    values = _both(pairs[None])[:, 0] if len(pairs) > 2 else np.full(2, np.nan)
    if not np.isfinite(values).all():
        why = "fewer than three heads" if len(pairs) < 3 else "a number is the same for all heads"
        return (
            MeasuredValue(name="rank", value=None, note=why),
            MeasuredValue(name="linear", value=None, note=why),
        )
    count = len(pairs)
    draws = np.random.default_rng(seed).integers(count, size=(DRAWS, count))
    ends = []
    for each in _both(pairs[draws]):
        kept = each[np.isfinite(each)]
        enough = count >= FEWEST and len(kept) > DRAWS / 2
        ends.append(tuple(map(float, np.quantile(kept, [0.025, 0.975]))) if enough else (None, None))
    rank, linear = (
        MeasuredValue(name=name, value=float(value), low=low, high=high)
        for name, value, (low, high) in zip(("rank", "linear"), values, ends, strict=True)
    )
    return rank, linear


def _both(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank and the linear correlation of each draw of pairs, (2, draws)."""
    from scipy.stats import rankdata

    return np.stack([_linear(rankdata(draws, axis=1)), _linear(draws)])


def _linear(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    constant = (draws == draws[:, :1]).all(axis=1).any(axis=1)
    centered = draws - draws.mean(axis=1, keepdims=True)
    one, other = centered[..., 0], centered[..., 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (one * other).sum(axis=1) / np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    return np.where(constant, np.nan, np.clip(found, -1.0, 1.0))


def _numbers(head: Head) -> dict[str, float]:
    def value(name: str) -> float:
        found = head.measured(name).value
        return math.nan if found is None else found

    return {
        "|cosine|": abs(value("cosine")),
        "query_drift*key_drift": value("query_drift") * value("key_drift"),
        "|product|/sqrt(d)": abs(value("product")) / math.sqrt(head.d),
        "1-entropy": 1 - value("entropy"),
        "maximum": value("maximum"),
    }
