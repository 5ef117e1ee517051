"""The null: what a Gaussian cloud of the same size gives, where no formula tells."""

import math
from collections.abc import Sequence

import torch

from conescope.measures import Measure
from conescope.survey.statistics import Statistics


def gaussian_values(found: Statistics, rows: Sequence[Measure], seed: int) -> dict[str, float]:
    """Return the values of a Gaussian cloud as large as the points at hand, with as much variance.

    Labels are dealt to its points anew. Only rows without a formula are measured.
    """
    n, d = found.points.shape
    rows = [row for row in rows if row.isotropic(n, d) is None and row.needs != "partners"]
    if not rows or n < 2:
        return {}
    generator = torch.Generator().manual_seed(seed)
    cloud = torch.randn(n, d, dtype=torch.float64, generator=generator).to(found.points.device)
    spread = (found.points - found.points.mean(dim=0)).square().mean().sqrt()
    labels = None
    if found.labels is not None:
        labels = found.labels[torch.randperm(n, generator=generator).to(found.labels.device)]
    null = Statistics(cloud * spread, labels, classes=found.classes)
    values = {row.name: null.value(row) for row in rows}
    return {name: value for name, value in values.items() if math.isfinite(value)}
