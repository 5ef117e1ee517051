"""The null: what a Gaussian cloud of the same size gives, where no formula tells."""

import math
from collections.abc import Sequence

import torch

from conescope._types import Labels
from conescope.measures import Measure
from conescope.survey.gaussian_moments import gaussian_moments
from conescope.survey.rows import order_of
from conescope.survey.statistics import Statistics


def gaussian_values(found: Statistics, rows: Sequence[Measure], seed: int) -> dict[str, float]:
    """Return the values of a Gaussian cloud of the same size, with as much variance, centered at zero.

    Only rows without a formula are measured. What looks at pairs is taken of a cloud as large as the points
    at hand. Moments are of as many points as the moments found: where these are more, they are drawn
    without the points. Class sizes are kept, and the classes dealt anew.
    """
    (at_hand, d), n = found.points.shape, found.moments.n
    rows = [
        row
        for row in rows
        if row.needs != "partners" and row.isotropic(at_hand if row.sampled else n, d) is None
    ]
    if not rows or at_hand < 2:
        return {}
    generator = torch.Generator().manual_seed(seed)
    cloud = torch.randn(at_hand, d, dtype=torch.float64, generator=generator).to(found.points.device)
    spread = (found.points - found.points.mean(dim=0)).square().mean().sqrt()
    order = order_of(rows)
    whole = None
    if n > at_hand and not all(row.sampled for row in rows):
        classes = found.moments.classes
        counts = None if classes is None else classes.counts.cpu().numpy()
        whole = gaussian_moments(n, d, spread=float(spread), counts=counts, order=order, seed=seed)
    null = Statistics(cloud * spread, _dealt(found.labels), classes=found.classes, order=order, whole=whole)
    values = {row.name: null.value(row) for row in rows}
    return {name: value + 0.0 for name, value in values.items() if math.isfinite(value)}  # no -0.0


def _dealt(labels: Labels | None) -> Labels | None:
    """Return classes of the same sizes, the largest first: the points that get them are in no order."""
    if labels is None:
        return None
    sizes = labels.bincount().sort(descending=True).values
    return torch.arange(len(sizes), device=labels.device).repeat_interleave(sizes)
