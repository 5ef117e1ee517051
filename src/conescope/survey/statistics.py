"""What the rows of the table read: each statistic computed once, and only if a row asks for it."""

from functools import cached_property

import torch
from jaxtyping import Bool
from torch import Tensor

from conescope._types import Labels, Lengths, Points
from conescope.measures.cluster_isotropy import ClusterIsotropy, cluster_isotropy_estimate
from conescope.measures.neighbors import NEIGHBORS, Neighbors, neighbors
from conescope.measures.persistent_entropy import bars
from conescope.measures.quantization import Quantization, quantize
from conescope.measures.row import Measure
from conescope.measures.spectrum import Spectrum, spectrum, spectrum_from_moments
from conescope.scale.moments import Moments, moments

RESERVE = 16  # neighbors beyond those asked for, so that a tenth of the points can be taken away


class Statistics:
    """Statistics of a cloud: moments of all its points, and the rest of those at hand, or of a sample."""

    def __init__(
        self,
        points: Points,
        labels: Labels | None = None,
        *,
        classes: int | None = None,
        whole: Moments | None = None,
        partners: tuple[Points, Points] | None = None,
    ) -> None:
        """Take float64 points; `whole`, if they are a sample; all points and their partners, in pairs."""
        self.points = points
        self.labels = labels
        self.classes = classes
        self.whole = whole
        self.partners = partners

    def value(self, row: Measure) -> float:
        """Return a measure; nan where it is undefined."""
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
        return moments(self.points, self.labels, classes=self.classes)

    @cached_property
    def spectrum(self) -> Spectrum:
        return spectrum(self.points) if self.whole is None else spectrum_from_moments(self.whole)

    @cached_property
    def uncentered_spectrum(self) -> Spectrum:
        if self.whole is None:
            return spectrum(self.points, center=False)
        return spectrum_from_moments(self.whole, center=False)

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

    def without(self, group: Bool[Tensor, " n"]) -> "Statistics":
        """Return the statistics without some points: neighbors and codebooks are not sought again."""
        kept = ~group
        labels = None if self.labels is None else self.labels[kept]
        rest = Statistics(self.points[kept], labels, classes=self.classes)
        if "wide_neighbors" in self.__dict__:
            rest.__dict__["wide_neighbors"] = _without(self.wide_neighbors, kept)
        if "quantization" in self.__dict__:
            rest.__dict__["quantization"] = _cells_without(self.quantization, kept)
        return rest


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
