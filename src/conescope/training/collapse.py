"""The geometry of embeddings while a model trains, and the alarm when they collapse.

The verdict is that of `conescope.measure`, with its limits. Its rule for a collapse looks at the raw cloud
first: the mean cosine, or all points at one place. Centered measures alone miss it: of a constant vector with
a little noise, IsoScore sees the noise, and calls it isotropic. Embeddings that are not finite raise the
alarm too. Too few points for their dimension do not: there the verdict is that nothing can be told of the
spectrum.
"""

import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch

from conescope._types import Points
from conescope.results import Finding
from conescope.survey.measure import measure
from conescope.survey.rows import chosen

GEOMETRY = ("mean_cosine", "anisotropy_1", "effective_rank", "isoscore")
OnCollapse: TypeAlias = Literal["warn", "stop", "checkpoint"]


class Geometry(NamedTuple):
    """What was measured, by name, and why the alarm is raised, if it is."""

    values: dict[str, float]  # those that are defined, and `collapsed`, 0 or 1
    alarm: Finding | None


def check_measures(measures: Sequence[str]) -> tuple[str, ...]:
    """Return the names of measures that need neither labels nor partners.

    Raises:
        ValueError: for any other, or none.
    """
    return tuple(row.name for row in chosen(measures, labels=False, partners=False))


def geometry(points: Points, measures: Sequence[str] = GEOMETRY) -> Geometry:
    """Return measures of points (n, d), and the alarm.

    Without a finite value in every point no measure is defined, and only `collapsed` is there.
    """
    wrong = int((~torch.isfinite(points)).any(dim=1).sum())
    if wrong:
        broken = Finding(
            level="collapsed",
            title="not finite",
            evidence=f"of {len(points)} embeddings, {wrong} are NaN or infinite",
            cause="a learning rate that is too high, or an overflow in half precision",
            fix="go back to the last checkpoint with a lower learning rate, or in bfloat16",
            verify="loss and gradient norms of the steps before",
        )
        return Geometry({"collapsed": 1.0}, broken)
    found = measure(points, measures=measures, intervals=False, null=False)
    alarm = next((finding for finding in found.findings if finding.level == "collapsed"), None)
    values = {one.name: one.value for one in found.values if one.value is not None}
    return Geometry(values | {"collapsed": float(alarm is not None)}, alarm)


class Alarm:
    """Warns when embeddings have collapsed: once, until they have recovered."""

    def __init__(self, on_collapse: OnCollapse) -> None:
        if on_collapse not in get_args(OnCollapse):
            known = ", ".join(get_args(OnCollapse))
            raise ValueError(f"on_collapse must be one of {known}, got {on_collapse!r}")
        self.on_collapse = on_collapse
        self.raised = False

    def hear(self, found: Finding | None, step: int) -> bool:
        """Return whether this is news to act on."""
        news = found is not None and not self.raised
        self.raised = found is not None
        if news:
            warnings.warn(f"step {step}: {found}", RuntimeWarning, stacklevel=2)
        return news
