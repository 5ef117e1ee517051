"""Measures of all points that a torchmetrics loop shows, from states that merge."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._optional import require
from conescope._types import Points
from conescope.measures import MEASURES
from conescope.scale.moments import Moments, merge, moments
from conescope.survey.statistics import Statistics
from conescope.training.collapse import GEOMETRY, check_measures

require("torchmetrics", extra="torchmetrics")
from torchmetrics import Metric  # noqa: E402

NUMBERS = 7  # of a packed state, before its vectors


class GeometryMetric(Metric):
    """Measures of the spectrum and of directions over any number of batches and processes.

    The state is one vector: the moments of `conescope.scale`, in float64, of a size that depends on the
    dimension alone. States merge by the rule of Chan, Golub and LeVeque, so that any split of the points
    gives the same numbers to rounding; plain sums of squares would lose a small spread beside a large mean,
    which is what a collapse looks like. `compute` returns a 0-dim float64 tensor for each measure, NaN where
    it is undefined.

    Args:
        dimension: of the points; a process without any must know it, too.
        measures: names that need neither labels nor pairs of points, such as mean_cosine and effective_rank.
        kwargs: of `torchmetrics.Metric`.

    Raises:
        ValueError: for other measures; in `update` for points of another dimension, NaN and infinity.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = None
    packed: Tensor

    def __init__(self, dimension: int, measures: Sequence[str] = GEOMETRY, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if dimension < 1:
            raise ValueError(f"the dimension must be at least 1, got {dimension}")
        self.measures = check_measures(measures)
        pairs = [name for name in self.measures if MEASURES[name].sampled]
        if pairs:
            raise ValueError(
                f"{pairs[0]} looks at pairs of points, which a state of fixed size does not hold; take "
                "measures of moments or spectrum, or conescope.measure on a sample"
            )
        self.dimension = dimension
        self.add_state("packed", default=_packed(None, dimension), dist_reduce_fx=self._merged)

    def update(self, points: Points) -> None:
        """Take points of shape (n, dimension); none at all change nothing."""
        if points.ndim != 2 or points.shape[1] != self.dimension:
            expected = f"(n, {self.dimension})"
            raise ValueError(f"points must have shape {expected}, got {tuple(points.shape)}")
        if len(points):
            new = _packed(moments(points.detach()), self.dimension)
            self.packed = self._merged(torch.stack([self.packed, new.to(self.packed.device)]))

    def compute(self) -> dict[str, Tensor]:
        """Return the measures by name."""
        whole = _unpacked(self.packed, self.dimension)
        if whole is None:
            return {name: self.packed.new_tensor(torch.nan) for name in self.measures}
        known = Statistics(whole.mean.new_empty(0, self.dimension), whole=whole)
        return {name: self.packed.new_tensor(known.value(MEASURES[name])) for name in self.measures}

    def _merged(self, states: Float[Tensor, "states size"]) -> Float[Tensor, " size"]:
        """Return the state of the points of all."""
        found = [_unpacked(state, self.dimension) for state in states]
        parts = [part for part in found if part is not None]
        return _packed(reduce(merge, parts) if parts else None, self.dimension).to(states.device)


def _packed(part: Moments | None, d: int) -> Float[Tensor, " size"]:
    """Return the moments as one vector, all zeros without a point."""
    if part is None:
        return torch.zeros(NUMBERS + 3 * d + d * d, dtype=torch.float64)
    assert part.scatter is not None  # of order 2
    assert part.direction_square_sum is not None
    numbers = [part.n, part.directions, float(part.norm_mean), float(part.norm_scatter)]
    numbers += [*part.norm_range, part.resolution]
    head = torch.tensor(numbers, dtype=torch.float64, device=part.mean.device)
    vectors = [part.mean, part.direction_sum, part.direction_square_sum, part.scatter.flatten()]
    return torch.cat([head, *vectors])


def _unpacked(state: Float[Tensor, " size"], d: int) -> Moments | None:
    """Return the moments in a state, or None if there is no point."""
    n, directions, norm_mean, norm_scatter, least, greatest, resolution = state[:NUMBERS].tolist()
    if not n:
        return None
    mean, direction_sum, square_sum, scatter = torch.split(state[NUMBERS:], [d, d, d, d * d])
    return Moments(
        n=int(n),
        d=d,
        mean=mean,
        directions=int(directions),
        direction_sum=direction_sum,
        norm_mean=state.new_tensor(norm_mean),
        norm_scatter=state.new_tensor(norm_scatter),
        norm_range=(least, greatest),
        resolution=resolution,
        scatter=scatter.reshape(d, d),
        direction_square_sum=square_sum,
    )
