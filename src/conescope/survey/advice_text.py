"""What an advice says in words."""

from collections.abc import Sequence

from conescope.results.advice import Candidate, Task

NOT_TWICE = (
    "this candidate was chosen by its gain on these data, so its gain here is likely larger "
    "than it will be: fit it on all points, and confirm it on data that were not used for this choice"
)
SHARED = (
    "many pairs share points, which intervals and p-values do not see: both are smaller than they should be"
)


SIMPLER = (
    "of fixes that are as good within noise the simplest is preferred, since it takes fewer numbers from the "
    "data, keeps more of the space as it is, and so depends less on this sample"
)


def verdict_of(
    candidates: Sequence[Candidate], best: str | None, recommended: str | None, task: Task, what: str
) -> str:
    """Return the advice in words."""
    if task == "none":
        return (
            "no recommendation: without pairs or labels only the shape of the space is known, and a rounder "
            "space need not be a better one; only held-out data of your task can tell whether a fix helps it"
        )
    tried = [one for one in candidates if one.difference is not None]
    if not tried or all(one.outcome == "not known" for one in candidates):
        return (
            "no recommendation: the score is not defined on these data, since cosines or scores do not vary"
        )
    if recommended is None:
        nearest = max(tried, key=lambda one: one.difference or 0.0)
        if all(one.outcome == "worse" for one in tried):
            return f"leave it alone: every candidate does worse than nothing on held-out {what}"
        return (
            f"leave it alone: no candidate does better than nothing on held-out {what} beyond noise; the "
            f"best, {nearest.name}, changes the score {_gain(nearest)}"
        )
    chosen = next(one for one in candidates if one.name == recommended)
    verdict = f"{chosen.name}: on held-out {what} the score changes {_gain(chosen)}"
    if recommended == best:
        return verdict
    return f"{verdict}. {best} has the highest score, but {_behind(chosen)}: {SIMPLER}"


def _behind(one: Candidate) -> str:
    if not one.to_best:
        return "by no difference at all on these examples"
    ends = f"{-(one.to_best_high or 0.0):+.4f} to {-(one.to_best_low or 0.0):+.4f}"
    return (
        f"by {-one.to_best:.4f} only, and the interval of that difference, {ends} after correction for the "
        "number of candidates, includes zero"
    )


def _gain(one: Candidate) -> str:
    if one.difference is None or one.low is None or one.high is None or one.p is None:
        return "by an amount that is not known"
    return (
        f"by {one.difference:+.4f}, 95 % interval {one.low:+.4f} to {one.high:+.4f}, p = {one.p:.2g} after "
        "correction for the number of candidates"
    )
