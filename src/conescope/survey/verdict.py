"""The verdict: what stands out in the numbers, why it comes about, the smallest fix, and how to verify it.

No measure is trusted alone. Those of the centered cloud can not see a common direction and call a
collapsed space isotropic; those of the raw cloud see little else. So each rule names the values it rests
on, the rules go from grave to slight, and when none speaks the verdict is to leave the model alone. With
fewer points than dimensions what rests on the covariance is not judged at all.

The limits are those of `conescope.measures.healthy`. They do not know your task, and every fix names the
comparison that would tell.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from conescope.measures.healthy import (
    COLLAPSED,
    CONE,
    DOMINANT,
    FEW,
    HUBS,
    RANGES,
    ROGUE,
    SPREAD_NORMS,
    THIN,
)
from conescope.results import Finding

REPEATED = 0.01  # share of points that repeat another one


class Seen(NamedTuple):
    """What the rules look at: finite values by name, and facts about the points."""

    n: int
    d: int
    values: Mapping[str, float]
    coincident: bool
    zeros: int
    repeated: float  # share, of the points at hand
    nearly: float = 0.0  # share of copies but for rounding, where neighbors are known
    at_hand: int | None = None  # points of which neighbors were looked at, if not all


def findings(seen: Seen) -> tuple[Finding, ...]:
    """Return what stands out, gravest first; "healthy" alone if nothing does."""
    seen = seen._replace(values=_telling(seen))
    found = [finding for rule in RULES if (finding := rule(seen)) is not None]
    if any(finding.level == "collapsed" for finding in found):  # nothing else matters then
        return tuple(finding for finding in found if finding.level in ("collapsed", "unknown"))
    return tuple(found) or (_otherwise(seen),)


def _telling(seen: Seen) -> dict[str, float]:
    """Return the values that can be judged, of so many points in so many dimensions."""
    sizes = dict.fromkeys(RANGES, seen.n)
    if seen.at_hand is not None:
        sizes["antihubs"] = seen.at_hand
    judged = {name for name, size in sizes.items() if RANGES[name](size, seen.d) is not None}
    return {name: value for name, value in seen.values.items() if name in judged | {"relative_drift"}}


def _too_few(seen: Seen) -> Finding | None:
    n, d = seen.n, seen.d
    if n >= max(FEW, d):
        return None
    return Finding(
        level="unknown",
        title="too few points",
        evidence=f"n = {n} for d = {d}, so spectrum and neighbors show the draw more than the space",
        cause="a small file, or rows and columns are swapped" if n < d else "a small file",
        fix=f"take {max(10 * d, FEW)} points or more",
        verify="measure again: the intervals must be narrow against the distance to the isotropic value",
    )


def _collapsed(seen: Seen) -> Finding | None:
    if seen.coincident and seen.n > 1:
        return Finding(
            level="collapsed",
            title="collapsed",
            evidence="all points coincide",
            cause="a constant output: [CLS] before the first layer, a dead model, or one text repeated",
            fix="find out where the points come from before anything else",
            verify="two different inputs must give two different vectors",
        )
    cosine = seen.values.get("mean_cosine")
    if cosine is None or cosine <= COLLAPSED:
        return None
    return Finding(
        level="collapsed",
        title="collapsed",
        evidence=f"the mean cosine is {cosine:.6f}, so all points lie in nearly one direction; "
        "centered measures subtract that direction and can not see this",
        cause="a common vector that is long against what differs between the points"
        + _long_mean(seen)
        + "; in fine-tuning, a loss that pulls everything together or a learning rate that is too high",
        fix="subtract the mean and measure again; if only noise is left, go back to an earlier checkpoint",
        verify="after centering, neighbors of a few known items must make sense",
    )


def _cone(seen: Seen) -> Finding | None:
    cosine = seen.values.get("mean_cosine")
    if cosine is None or not CONE < cosine <= COLLAPSED:
        return None
    return Finding(
        level="look",
        title="narrow cone",
        evidence=f"random pairs have a mean cosine of {cosine:.2f}",
        cause="a common vector in all points" + _long_mean(seen),
        fix="subtract the mean of the corpus from corpus and queries alike; a classifier with a bias, and a "
        "ranking by Euclidean distance, need nothing: leave it alone there",
        verify="scores on labeled pairs before and after; keep what is better beyond noise",
    )


def _dominant(seen: Seen) -> Finding | None:
    share = seen.values.get("anisotropy_1")
    if share is None or share <= DOMINANT:
        return None
    rogue = seen.values.get("rogue_share")
    by_axes = rogue is not None and rogue > ROGUE
    return Finding(
        level="look",
        title="one direction dominates",
        evidence=f"after centering, one direction holds {share:.0%} of the variance",
        cause="a few coordinates of great size (rogue dimensions)"
        if by_axes
        else "length or frequency of the inputs, a far cluster, or a class that training pulled apart",
        fix="divide each coordinate by its standard deviation"
        if by_axes
        else "look at the items at both ends of that direction; if it means nothing to you, remove it",
        verify="task scores with and without; after training a classifier it is the task: leave it",
    )


def _rogue(seen: Seen) -> Finding | None:
    rogue, cosine = seen.values.get("rogue_share"), seen.values.get("mean_cosine", 0.0)
    if rogue is None or rogue <= ROGUE or cosine < 0.1:
        return None
    return Finding(
        level="look",
        title="rogue dimensions",
        evidence=f"three of {seen.d} coordinates carry {rogue:.0%} of the mean cosine",
        cause="outlier coordinates, common in layers of pretrained transformers",
        fix="standardize before taking cosines: subtract from each coordinate its mean, and divide by its "
        "standard deviation",
        verify="similarity scores on labeled pairs before and after",
    )


def _thin(seen: Seen) -> Finding | None:
    rank = seen.values.get("effective_rank")
    if rank is None or rank >= THIN * seen.d:
        return None
    return Finding(
        level="look",
        title="few dimensions in use",
        evidence=f"the effective rank is {rank:.0f} of {seen.d}",
        cause="points near a plane: narrow inputs, strong training on few classes, or a wide model",
        fix="nothing if scores are good: project onto the leading directions and save memory; if scores have "
        "fallen in training, lower the learning rate or regularize",
        verify="scores with the leading directions only, and with all",
    )


def _hubs(seen: Seen) -> Finding | None:
    share = seen.values.get("antihubs")
    if share is None or share <= HUBS:
        return None
    return Finding(
        level="look",
        title="hubs",
        evidence=f"{share:.0%} of the points are among the 10 nearest of no other: a few are near all",
        cause="norms that differ much, or distances that concentrate in many dimensions",
        fix="normalize if norms differ; else rank by how near a pair is for both (mutual neighbors)",
        verify="recall on labeled queries before and after",
    )


def _repeated(seen: Seen) -> Finding | None:
    if seen.repeated <= REPEATED:
        return None
    return Finding(
        level="look",
        title="repeated points",
        evidence=f"{seen.repeated:.1%} of the points equal another one",
        cause="repeated inputs, or inputs that were cut off at the same place",
        fix="drop the copies before indexing, measuring or training",
        verify="measure again: bars of length zero and neighbors at distance zero are gone",
    )


def _nearly(seen: Seen) -> Finding | None:
    if seen.nearly <= REPEATED:
        return None
    return Finding(
        level="look",
        title="near-copies",
        evidence=f"{seen.nearly:.1%} of the points are copies of another one but for rounding, and the "
        "dimensions by nearest neighbors (twonn, mle_dimension) read low",
        cause="the same input embedded twice: in another batch, with other padding, or in half precision",
        fix="drop the copies by their inputs before indexing, measuring or training",
        verify="measure again: twonn is higher, and close to mle_dimension",
    )


def _zeros(seen: Seen) -> Finding | None:
    if not seen.zeros:
        return None
    return Finding(
        level="look",
        title="zero vectors",
        evidence=f"points of length zero: {seen.zeros} of {seen.n}; they have no cosine with anything",
        cause="empty inputs, or failed calls that were filled in",
        fix="drop them, and find out where they come from",
        verify="count them again",
    )


def _norms(seen: Seen) -> Finding | None:
    spread = seen.values.get("norm_variation")
    if spread is None or spread <= SPREAD_NORMS or seen.zeros:
        return None
    return Finding(
        level="look",
        title="norms differ",
        evidence=f"they vary by {spread:.0%} of their mean, so cosine and inner product rank apart",
        cause="norms that carry frequency or length of the input",
        fix="normalize if you rank by inner product and mean the cosine; else nothing",
        verify="the share of queries whose first neighbor changes",
    )


def _otherwise(seen: Seen) -> Finding:
    """Return the verdict where no rule speaks: leave it alone, or that there was nothing to judge."""
    judged = [name for name in RESTS_ON if name in seen.values and name != "relative_drift"]
    if not judged:
        return Finding(
            level="unknown",
            title="nothing to judge",
            evidence=f"for n = {seen.n} and d = {seen.d} no value is defined that a verdict rests on",
            cause="one dimension, or rows and columns are swapped"
            if seen.d == 1
            else "points without a shape",
            fix="check that each row is one point",
            verify="measure again: there is a mean cosine and an effective rank",
        )
    are = "is" if len(judged) == 1 else "are"
    return Finding(
        level="healthy",
        title="nothing stands out",
        evidence=f"{', '.join(judged)} {are} within what pretrained encoders show that work well",
        fix="leave this model alone unless a score on your own task says otherwise",
    )


def _long_mean(seen: Seen) -> str:
    ratio = seen.values.get("relative_drift")
    return (
        ""
        if ratio is None
        else f" (the mean vector is {ratio:.4g} times as long as the points are on average)"
    )


RULES: tuple[Callable[[Seen], Finding | None], ...] = (
    _collapsed,
    _too_few,
    _cone,
    _dominant,
    _rogue,
    _thin,
    _hubs,
    _repeated,
    _nearly,
    _zeros,
    _norms,
)
# what the rules look at: always computed, whatever was asked for, where it costs little
RESTS_ON = (
    "mean_cosine",
    "relative_drift",
    "norm_variation",
    "anisotropy_1",
    "effective_rank",
    "rogue_share",
    "antihubs",
)
