"""Rows of a quantizer's cells: how evenly are they filled, and how well do they describe the cloud?"""

from conescope.measures.point_patchiness import (
    error_of_cells,
    patchiness_of_counts,
    point_patchiness,
    published_patchiness_of_counts,
    published_point_patchiness,
    quantization_error,
)
from conescope.measures.quantization import adapted_bits
from conescope.measures.row import Measure

UNDEFINED = "there are fewer than four points, or no two that differ"


def patchiness_bounds(n: int, d: int) -> tuple[float, float]:
    """Return the value of equal counts, and that of one cell which holds all points."""
    k = 2 ** adapted_bits(n)
    return 1 - k / max(n, 1), k - k / max(n, 1)


def published_bounds(n: int, d: int) -> tuple[float, float]:
    """Return the same for the published form, whose product quantizer has up to four codebooks."""
    k, m = 2 ** adapted_bits(n), min(4, d)
    return 1 - k / (m * max(n, 1)), 1 + (k - 1) / m**2 - k / (m * max(n, 1))


ROWS = (
    Measure(
        name="point_patchiness",
        function=point_patchiness,
        meaning="crowding of a quantizer's cells; 1: as by chance",
        bounds=patchiness_bounds,
        isotropic=lambda n, d: None,
        better="neither",
        invariant="translation scale permutation",
        undefined=UNDEFINED,
        cost="n d k",
        paper="arXiv:2406.12159",
        reads="quantization",
        finish=lambda cells: patchiness_of_counts(cells.counts),
        differentiable=False,
        jackknife=False,  # cells of nine tenths of the points vary less than those of new points
        package="faiss",
    ),
    Measure(
        name="published_point_patchiness",
        function=published_point_patchiness,
        meaning="the same as the paper computes it, nearer to 1",
        bounds=published_bounds,
        isotropic=lambda n, d: None,
        better="neither",
        invariant="translation scale permutation",
        undefined=UNDEFINED,
        cost="n d k",
        paper="arXiv:2406.12159",
        reads="quantization",
        finish=lambda cells: published_patchiness_of_counts(cells.counts),
        differentiable=False,
        jackknife=False,  # cells of nine tenths of the points vary less than those of new points
        package="faiss",
    ),
    Measure(
        name="quantization_error",
        function=quantization_error,
        meaning="share of variance a quantizer's cells do not tell",
        bounds=lambda n, d: (0, 1),
        isotropic=lambda n, d: None,
        better="higher",
        invariant="translation scale permutation",
        undefined=UNDEFINED,
        cost="n d k",
        paper="arXiv:2406.12159",
        reads="quantization",
        finish=error_of_cells,
        differentiable=False,
        package="faiss",
    ),
)
