"""What the rows of the table read: each statistic computed once, and only if a row asks for it."""

from collections.abc import Callable, Iterator
from functools import cached_property, reduce
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from conescope._copies import distinct_rows
from conescope._types import Labels, Lengths, Points
from conescope.measures.cluster_isotropy import ClusterIsotropy, cluster_isotropy_estimate
from conescope.measures.neighbors import NEIGHBORS, Neighbors, neighbors
from conescope.measures.persistent_entropy import bars
from conescope.measures.quantization import Quantization, quantize
from conescope.measures.row import Measure
from conescope.measures.spectrum import Spectrum, spectrum, spectrum_from_moments
from conescope.scale.moments import Moments, merge, moments

RESERVE = 16  # neighbors beyond those asked for, so that a tenth of the points can be taken away
HELD = 1 << 23  # numbers in the moments of one group, up to which those of five are held: 300 MB
NEAR = 1e-4  # of the distance to the last neighbor listed: a point this near is a copy but for rounding

Order = Literal[1, 2]


class Statistics:
    """Statistics of a cloud: moments of all its points, and the rest of those at hand, or of a sample."""

    def __init__(
        self,
        points: Points,
        labels: Labels | None = None,
        *,
        classes: int | None = None,
        order: Order = 2,
        whole: Moments | None = None,
        partners: tuple[Points, Points] | None = None,
    ) -> None:
        """Take float64 points; `whole`, if they are a sample; all points and their partners, in pairs.

        `order` is that of the moments, where they are taken of the points at hand.
        """
        self.points = points
        self.labels = labels
        self.classes = classes
        self.order = order
        self.whole = whole
        self.partners = partners
        self._values: dict[str, float] = {}

    def value(self, row: Measure) -> float:
        """Return a measure, computed once; nan where it is undefined."""
        if row.name not in self._values:
            self._values[row.name] = self._value(row)
        return self._values[row.name]

    def _value(self, row: Measure) -> float:
        if row.needs == "partners" and self.partners is not None:
            return float(row.function(*self.partners))
        if row.reads == "points":
            return float(
                row.function(self.points, self.labels) if row.needs_labels else row.function(self.points)
            )
        assert (
            row.finish is not None
        )  # a row that reads a shared statistic has one; the contract tests see to it
        if row.reads == "bars" and len(self.bars) == 0:
            return float("nan")
        return float(row.finish(getattr(self, row.reads)))

    @cached_property
    def moments(self) -> Moments:
        if self.whole is not None:
            return self.whole
        return moments(self.points, self.labels, classes=self.classes, order=self.order)

    @cached_property
    def spectrum(self) -> Spectrum:
        return self._spectrum(center=True)

    @cached_property
    def uncentered_spectrum(self) -> Spectrum:
        return self._spectrum(center=False)

    def _spectrum(self, *, center: bool) -> Spectrum:
        n, d = self.points.shape
        if self.whole is None and (n < d or self.order == 1):
            return spectrum(self.points, center=center)
        return spectrum_from_moments(self.moments, center=center)

    @cached_property
    def wide_neighbors(self) -> Neighbors:
        return neighbors(self.points, NEIGHBORS + RESERVE)

    @property
    def neighbors(self) -> Neighbors:
        wide = self.wide_neighbors
        return Neighbors(wide.distances[:, :NEIGHBORS], wide.indices[:, :NEIGHBORS], wide.d)

    @cached_property
    def bars(self) -> Lengths:
        return bars(self.points)

    @cached_property
    def quantization(self) -> Quantization:
        return quantize(self.points)

    @cached_property
    def clusters(self) -> ClusterIsotropy:
        return cluster_isotropy_estimate(self.points)

    @cached_property
    def copies(self) -> int:
        """How many of the points at hand repeat another one."""
        return len(self.points) - len(distinct_rows(self.points)[0])

    @property
    def near_copies(self) -> int | None:
        """How many of the points at hand are a copy of another one but for rounding.

        None unless the neighbors are known (they cost too much to be sought for this), and with so few
        points that the last neighbor listed is a far one.
        """
        if "wide_neighbors" not in self.__dict__ or len(self.points) < 2 * (NEIGHBORS + RESERVE):
            return None
        distances = self.wide_neighbors.distances
        near = (distances > 0) & (distances < NEAR * distances[:, -1:])
        return int(near.any(dim=1).sum())

    def without(self, group: Bool[Tensor, " n"]) -> "Statistics":
        """Return the statistics without some points: neighbors and codebooks are not sought again."""
        kept = ~group
        labels = None if self.labels is None else self.labels[kept]
        rest = Statistics(self.points[kept], labels, classes=self.classes, order=self.order)
        if "wide_neighbors" in self.__dict__:
            rest.__dict__["wide_neighbors"] = _without(self.wide_neighbors, kept)
        if "quantization" in self.__dict__:
            rest.__dict__["quantization"] = _cells_without(self.quantization, kept)
        return rest

    def without_each(
        self, groups: Bool[Tensor, "groups n"], *, order: Order | None = None
    ) -> Iterator["Statistics"]:
        """Yield the statistics without each group in turn; no point is in two groups.

        With `order`, that of the moments which will be read, those of the groups are merged: a point enters
        a few, and not one for each group.
        """
        merged = None
        held = self.points.shape[1] * (self.points.shape[1] + 2 * (self.classes or 0))
        if order is not None and held <= HELD:
            always = ~groups.any(dim=0)
            base = self._moments_of(always, order) if bool(always.any()) else None
            merged = _all_but_one(
                lambda number: self._moments_of(groups[number], order), range(len(groups)), base
            )
        for group in groups:
            rest = self.without(group)
            rest.order = order or self.order
            if merged is not None:
                rest.__dict__["moments"] = next(merged)
            yield rest

    def _moments_of(self, chosen: Bool[Tensor, " n"], order: Order) -> Moments:
        labels = None if self.labels is None else self.labels[chosen]
        return moments(self.points[chosen], labels, classes=self.classes, order=order)


def _all_but_one(part: Callable[[int], Moments], numbers: range, others: Moments | None) -> Iterator[Moments]:
    """Yield the moments of all parts but one, for each of these numbers in turn; others are in all of them.

    Halves are left out before quarters, so that a part is merged a few times and few moments are held.
    """
    if len(numbers) == 1:
        assert others is not None  # there are two parts or more
        yield others
        return
    middle = len(numbers) // 2
    for kept, left in ((numbers[middle:], numbers[:middle]), (numbers[:middle], numbers[middle:])):
        known = [] if others is None else [others]
        yield from _all_but_one(part, left, reduce(merge, [*known, *map(part, kept)]))


def _without(wide: Neighbors, kept: Bool[Tensor, " n"]) -> Neighbors:
    """Return the neighbors of the points that stay, among those that stay: at most as many as all have."""
    distances, indices = wide.distances[kept], wide.indices[kept]
    stays = kept[indices]
    order = stays.int().argsort(dim=1, descending=True, stable=True)
    count = int(stays.sum(dim=1).min()) if len(stays) else 0
    order = order[:, :count]
    number = kept.cumsum(0) - 1
    return Neighbors(distances.gather(1, order), number[indices.gather(1, order)], wide.d)


def _cells_without(cells: Quantization, kept: Bool[Tensor, " n"]) -> Quantization:
    codes = cells.codes[kept]
    size = cells.counts.shape[1]
    counts = [code.bincount(minlength=size) for code in codes.T]
    return cells._replace(
        points=cells.points[kept],
        reconstruction=cells.reconstruction[kept],
        codes=codes,
        counts=torch.stack(counts) if counts else cells.counts,
    )
