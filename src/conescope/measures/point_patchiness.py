"""Point patchiness: how unevenly do the cells of a quantizer share the points?

With c_1 .. c_k the points in the cells of one codebook, n in all, m = n / k their mean and V their
variance, Lloyd's index of patchiness is the mean crowding (how many others share the cell of a point)
over the mean density:

    patchiness = sum_i c_i (c_i - 1) / n / m = 1 + V / m^2 - 1 / m,

averaged over the codebooks. 1 is what points thrown at cells of equal chance give (a Poisson law),
1 - k / n is the least, all cells alike, and k - k / n the greatest, one cell that holds all.

Marbut et al. (2024) put the counts of all M codebooks into one list and divide its sum by k, which
makes m = M n / k, M times the mean cell. What they print is

    1 + CV^2 / M^2 - k / (M n),    CV^2 = V / (n / k)^2,

here `published_point_patchiness`. At equal n the two order clouds alike; their values can not be compared.

Beside them the other columns of their tables: `quantization_error` and `quantization_spread`. Their
count_kl, the divergence of the counts from those of n random numbers, is left out: it changes from run
to run and is infinite where a random cell is empty.

Reference: Lloyd (1967), "Mean crowding"; Marbut, Chandler, Wheeler (2024), arXiv:2406.12159.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._copies import distinct_rows
from conescope._types import Points, Scalar
from conescope.measures.eee import eee_from_spectrum
from conescope.measures.quantization import Quantization, Quantizer, quantize
from conescope.measures.spectrum import spectrum

ROUNDING = 1e-6  # of the cloud's radius: differences below it are faiss's float32


class CellSpread(NamedTuple):
    """How well and how evenly a quantizer describes a cloud; each is nan where it is undefined."""

    reconstruction_error: Scalar  # sum |x - x^|^2 / sum |x|^2, not centered
    error_iqr: Scalar  # interquartile range of |x - x^| over its greatest value; nan where all are zero
    error_skew: Scalar  # skewness of |x - x^|; nan where all are equal to rounding
    centroid_spread: Scalar  # variance of squared distances to the nearest centroid, over the greatest
    within_cell_eee: Scalar  # mean EEE of the different points of a cell, where there are two or more
    count_variance: Scalar  # mean variance of the odds (k - 1) p / (1 - p); nan where one cell holds all


def point_patchiness(
    points: Points,
    *,
    quantizer: Quantizer = "product",
    codebooks: int = 4,
    bits: int | None = None,
    seed: int = 0,
) -> Scalar:
    """Return Lloyd's index of patchiness, averaged over codebooks, from 1 - k / n to k - k / n.

    The options are those of `quantize`; bits say how many cells there are, k = 2^bits. It has no
    gradient, and is nan with fewer than 2 k points or where no two points differ. Columns that do not
    vary put all points into one cell of their codebook, and count as that.

    >>> two_heaps = torch.tensor([[-1.0], [-1.1], [-1.2], [1.0], [1.1], [1.2]])
    >>> point_patchiness(two_heaps)  # counts 3, 3: each point shares its cell with 2 others, 2 / 3
    tensor(0.6667)
    """
    cells = quantize(points, quantizer=quantizer, codebooks=codebooks, bits=bits, seed=seed)
    return patchiness_of_counts(cells.counts).to(points.dtype)


def published_point_patchiness(
    points: Points,
    *,
    quantizer: Quantizer = "product",
    codebooks: int = 4,
    bits: int | None = None,
    seed: int = 0,
) -> Scalar:
    """Return the form whose values Marbut et al. (2024) print: counts of all codebooks as one list.

    Theirs is `quantizer="additive", bits=8`. With one codebook it is `point_patchiness`; it is nan where
    that is.
    """
    cells = quantize(points, quantizer=quantizer, codebooks=codebooks, bits=bits, seed=seed)
    return published_patchiness_of_counts(cells.counts).to(points.dtype)


def patchiness_of_counts(counts: Int64[Tensor, "codebooks k"]) -> Scalar:
    """Return `point_patchiness` of points with these counts; nan where a codebook has none.

    >>> patchiness_of_counts(torch.tensor([[5, 3, 2, 2]])).item()  # (5 4 + 3 2 + 2 + 2) / 12 / (12 / 4)
    0.8333333333333334
    """
    numbers = counts.double()
    total = numbers.sum(dim=1)
    crowding = (numbers * (numbers - 1)).sum(dim=1)
    return (crowding * counts.shape[1] / total.square()).mean()


def published_patchiness_of_counts(counts: Int64[Tensor, "codebooks k"]) -> Scalar:
    """Return `published_point_patchiness` of points with these counts; nan without any."""
    numbers = counts.double().flatten()
    density = numbers.sum() / counts.shape[1]
    patchiness: Scalar = 1 + _variance(numbers) / density.square() - 1 / density
    return patchiness


def quantization_error(
    points: Points,
    *,
    center: bool = True,
    quantizer: Quantizer = "product",
    codebooks: int = 4,
    bits: int | None = None,
    seed: int = 0,
) -> Scalar:
    """Return sum |x - x^|^2 / sum |x - mean|^2: the share of the variance that the cells do not tell.

    0 means that centroids hit every point, 1 that they know the mean only. With `center=False` the mean
    is not subtracted from x in the denominator, as in the published tables: then a cloud far from the
    origin scores near 0, whatever its shape. It has no gradient, and is nan where `point_patchiness` is.
    """
    cells = quantize(points, quantizer=quantizer, codebooks=codebooks, bits=bits, seed=seed)
    return error_of_cells(cells, center=center).to(points.dtype)


def quantization_spread(
    points: Points,
    *,
    quantizer: Quantizer = "product",
    codebooks: int = 4,
    bits: int | None = None,
    seed: int = 0,
) -> CellSpread:
    """Return the columns that Marbut et al. (2024) print beside patchiness, from one quantizer."""
    spread = spread_of_cells(quantize(points, quantizer=quantizer, codebooks=codebooks, bits=bits, seed=seed))
    return CellSpread(*(value.to(points.dtype) for value in spread))


def spread_of_cells(cells: Quantization) -> CellSpread:
    """Return `quantization_spread` of points quantized like this, in float64."""
    if len(cells.counts) == 0:
        return CellSpread(*[cells.points.new_tensor(math.nan)] * len(CellSpread._fields))
    errors = torch.linalg.vector_norm(cells.points - cells.reconstruction, dim=1)
    radius = torch.linalg.vector_norm(cells.points - cells.points.mean(dim=0), dim=1).amax()
    return CellSpread(
        reconstruction_error=error_of_cells(cells, center=False),
        error_iqr=torch.where(errors.amax() > ROUNDING * radius, _relative_iqr(errors), math.nan),
        error_skew=torch.where(_variance(errors).sqrt() > ROUNDING * radius, _skew(errors), math.nan),
        centroid_spread=_centroid_spread(cells),
        within_cell_eee=_within_cell_eee(cells),
        count_variance=_count_variance(cells.counts),
    )


def error_of_cells(cells: Quantization, *, center: bool = True) -> Scalar:
    """Return `quantization_error` of any points with these cells."""
    lost = (cells.points - cells.reconstruction).square().sum()
    about = cells.points.mean(dim=0) if center else cells.points.new_zeros(())
    error: Scalar = lost / (cells.points - about).square().sum()
    return error


def _relative_iqr(errors: Float[Tensor, " n"]) -> Scalar:
    low, high = torch.quantile(errors / errors.amax(), errors.new_tensor([0.25, 0.75]))
    iqr: Scalar = high - low
    return iqr


def _skew(numbers: Float[Tensor, " n"]) -> Scalar:
    steps = numbers - numbers.mean()
    skew: Scalar = steps.pow(3).mean() / steps.square().mean().pow(1.5)
    return skew


def _centroid_spread(cells: Quantization) -> Scalar:
    nearest = []
    for book in cells.centroids:
        distances = torch.cdist(book, book, compute_mode="donot_use_mm_for_euclid_dist")
        nearest.append(distances.fill_diagonal_(math.inf).amin(dim=1).square())
    squares = torch.stack(nearest)
    spread: Scalar = _variance((squares / squares.amax()).flatten())
    return spread


def _within_cell_eee(cells: Quantization) -> Scalar:
    different, position = distinct_rows(cells.points)
    values = []
    for codes, counts in zip(cells.codes.T, cells.counts, strict=True):
        for members in torch.split(position[codes.argsort()], counts.tolist()):
            found = torch.unique(members)
            if len(found) > 1:
                values.append(eee_from_spectrum(spectrum(different[found])))
    return torch.stack(values).nanmean() if values else cells.points.new_tensor(math.nan)


def _count_variance(counts: Int64[Tensor, "codebooks k"]) -> Scalar:
    numbers = counts.double()
    total = numbers.sum(dim=1, keepdim=True)
    odds = numbers / (total - numbers)
    variance: Scalar = _variance(odds * (counts.shape[1] - 1)).mean()
    return variance


def _variance(numbers: Float[Tensor, "*rows n"]) -> Float[Tensor, "*rows"]:
    """Return the variance along the last axis, over n and not n - 1."""
    variance: Tensor = (numbers - numbers.mean(dim=-1, keepdim=True)).square().mean(dim=-1)
    return variance
