"""Moments: all that one pass over the points keeps, in memory that does not grow with them.

For points x_i with norms r_i and directions u_i = x_i / r_i (zero vectors have none):

    n, mean, scatter = sum_i (x_i - mean)(x_i - mean)^T        size, place, shape
    mean and scatter of r_i, smallest, largest                 norms
    sum_i u_i, sum_i u_i^2                                     all mean cosines without a pair

and n, mean and sum of directions for each class. Two parts merge into the moments of the whole by the
rule of Chan, Golub and LeVeque (1983), in any order, with the same result to rounding.

Sums are held in float64. The products of the scatter are made in float64 too, or, with
`precision="single"`, in float32 on rows from which the mean of those before is taken: half the time,
and `resolution` says how much weaker than the strongest direction one may be and still be told from rounding.
"""

from dataclasses import dataclass, replace
from math import gcd
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._check import check_labels, check_points
from conescope._types import Covariance, Labels, Points, Scalar
from conescope.scale.panels import ORDINARY, cached_rows, careful_panel, swift_panel

Precision = Literal["single", "double"]

PANEL = 4096  # rows of one matrix product; in float32 twice as many,
HELD = 8 << 20  # if they are no more numbers than this
GROUP = 128  # pieces of each core that are summed before their norms are looked at
SINGLE_RESOLUTION = 1e-6  # float32 products, summed in float64 over panels
STRIDE = 8  # of so many rows of a first panel one is asked where the panel lies
BLOCKS = 8  # of columns of a product; what lies below the diagonal is known
WORTH_BLOCKS = 128  # dimensions


@dataclass(frozen=True)
class ClassMoments:
    """Size, mean and sum of directions of each class; classes are numbered from 0."""

    counts: Int64[Tensor, " classes"]
    means: Float[Tensor, "classes d"]
    direction_counts: Int64[Tensor, " classes"]  # without zero vectors
    direction_sums: Float[Tensor, "classes d"]


@dataclass(frozen=True)
class Moments:
    """What one pass keeps of n points in d dimensions. `scatter` and what follows it need order 2."""

    n: int
    d: int
    mean: Float[Tensor, " d"]
    directions: int  # points that differ from zero
    direction_sum: Float[Tensor, " d"]
    norm_mean: Scalar
    norm_scatter: Scalar  # sum of squared deviations from norm_mean
    norm_range: tuple[float, float]
    resolution: float
    scatter: Covariance | None = None
    direction_square_sum: Float[Tensor, " d"] | None = None
    classes: ClassMoments | None = None


def moments(
    points: Points,
    labels: Labels | None = None,
    *,
    classes: int | None = None,
    order: Literal[1, 2] = 2,
    precision: Precision = "double",
    first: int = 0,
) -> Moments:
    """Return the moments of at least one point; differentiable in double precision.

    Args:
        points: of shape (n, d), n >= 1.
        labels: class numbers, from 0.
        classes: how many there are, if more than the labels show.
        order: 1 leaves out what costs n d^2: the scatter, and the squares of directions.
        precision: of the products; float64 points are never narrowed.
        first: number of the first row, where messages count rows of a longer source.

    Raises:
        ValueError: for NaN and infinity (the first row is named), and norms whose squares leave float64.
    """
    check_points(points)
    n, d = points.shape
    if n == 0:
        raise ValueError("moments are of at least one point, got none")
    single = precision == "single" and points.dtype != torch.float64
    found = _first_order(points, single, first) if order == 1 else _second_order(points, single, first)
    lengths = found.norms
    return Moments(
        n=n,
        d=d,
        mean=found.mean,
        directions=int((lengths > 0).sum()),
        direction_sum=found.direction_sum,
        norm_mean=lengths.mean(),
        norm_scatter=(lengths - lengths.mean()).square().sum(),
        norm_range=(float(lengths.detach().min()), float(lengths.detach().max())),
        resolution=max(_rounding(n, d), SINGLE_RESOLUTION if single else 0),
        scatter=found.scatter,
        direction_square_sum=found.direction_square_sum,
        classes=None if labels is None else _class_moments(points, labels, classes, lengths),
    )


def merge(one: Moments, other: Moments) -> Moments:
    """Return the moments of the points of both. Classes of the same number are one class.

    Raises:
        ValueError: if dimensions, orders, or the presence of labels differ.
    """
    if one.d != other.d:
        raise ValueError(f"points of {one.d} and of {other.d} dimensions can not be merged")
    if (one.scatter is None) != (other.scatter is None):
        raise ValueError("moments of order 1 and 2 can not be merged: scan both with the same measures")
    if (one.classes is None) != (other.classes is None):
        raise ValueError("moments with and without labels can not be merged: scan both with labels, or none")
    n = one.n + other.n
    between = one.n * other.n / n  # weight of the squared distance of two means
    step = other.mean - one.mean
    norm_step = other.norm_mean - one.norm_mean
    merged = replace(
        one,
        n=n,
        mean=one.mean + step * (other.n / n),
        directions=one.directions + other.directions,
        direction_sum=one.direction_sum + other.direction_sum,
        norm_mean=one.norm_mean + norm_step * (other.n / n),
        norm_scatter=one.norm_scatter + other.norm_scatter + between * norm_step.square(),
        norm_range=(
            min(one.norm_range[0], other.norm_range[0]),
            max(one.norm_range[1], other.norm_range[1]),
        ),
        resolution=max(_rounding(n, one.d), one.resolution, other.resolution),
    )
    if one.scatter is not None and other.scatter is not None:
        scatter = one.scatter + other.scatter + between * torch.outer(step, step)
        merged = replace(merged, scatter=scatter)
    if one.direction_square_sum is not None and other.direction_square_sum is not None:
        merged = replace(merged, direction_square_sum=one.direction_square_sum + other.direction_square_sum)
    if one.classes is not None and other.classes is not None:
        merged = replace(merged, classes=_merge_classes(one.classes, other.classes))
    return merged


class _Sums(NamedTuple):
    """What one pass over all points gives, in float64."""

    norms: Float[Tensor, " n"]
    mean: Float[Tensor, " d"]
    direction_sum: Float[Tensor, " d"]
    scatter: Covariance | None = None
    direction_square_sum: Float[Tensor, " d"] | None = None


def _first_order(points: Points, single: bool, first: int) -> _Sums:
    n, d = points.shape
    height = cached_rows(d)
    rows = GROUP * height * torch.get_num_threads()
    row_sum = direction_sum = torch.zeros(d, dtype=torch.float64, device=points.device)
    norms: list[Tensor] = []
    for start in range(0, n, rows):
        group = points[start : start + rows]
        swift = swift_panel(group) if single else None
        careful = range(0, len(group), height) if swift is None else ()
        rest = (careful_panel(group[at : at + height], single, first + start + at) for at in careful)
        for part in rest if swift is None else (swift,):
            norms.append(part.norms.double())
            row_sum, direction_sum = row_sum + part.row_sum, direction_sum + part.direction_sum
    return _Sums(torch.cat(norms), row_sum / n, direction_sum)


def _second_order(points: Points, single: bool, first: int) -> _Sums:
    n, d = points.shape
    height = 2 * PANEL if single and 2 * PANEL * d <= HELD else PANEL
    shift = _rough_mean(points[:height:STRIDE] if n > height else points, single)
    mean = shift.double()
    direction_sum = square_sum = torch.zeros(d, dtype=torch.float64, device=points.device)
    products = torch.zeros(d, d, dtype=torch.float64, device=points.device)
    held = points.new_empty(min(n, height) if single else 0, d, dtype=torch.float32)
    norms: list[Tensor] = []
    own: list[Tensor] = []
    between: list[Tensor] = []
    for start in range(0, n, height):
        panel = points[start : start + height]
        narrow = single and float(shift.abs().amax()) < ORDINARY
        # rows minus about the mean of all before: their products exceed the scatter at most twice
        part = swift_panel(panel, shift, held[: len(panel)]) if narrow else None
        part = part or careful_panel(panel, narrow, first + start, shift)
        assert part.shifted is not None  # since there is a shift
        assert part.direction_square_sum is not None
        norms.append(part.norms.double())
        products = _plus_product(products, part.shifted)
        rows = len(panel)
        offset = part.row_sum.double() / rows
        step = shift.double() - mean + offset  # from that mean to the mean of these rows
        own.append(offset * rows**0.5)
        between.append(step * (start * rows / (start + rows)) ** 0.5)
        mean = mean + step * (rows / (start + rows))
        shift = mean.detach().to(shift.dtype)
        direction_sum = direction_sum + part.direction_sum
        square_sum = square_sum + part.direction_square_sum
    away, inward = torch.stack(between), torch.stack(own)
    upper = products + away.T @ away - inward.T @ inward
    scatter = upper.triu() + upper.triu(1).T
    return _Sums(torch.cat(norms), mean, direction_sum, scatter, square_sum)


def _rounding(n: int, d: int) -> float:
    """Return how far float64 sums of n products can be off, whatever the order in which parts merge."""
    return max(n, d) * torch.finfo(torch.float64).eps


def _rough_mean(rows: Points, single: bool) -> Float[Tensor, " d"]:
    """Return about the mean of some rows; coincident rows give that row to the last bit."""
    first = rows[0].detach().double()
    total = torch.zeros_like(first)
    for piece in torch.split(rows.detach(), cached_rows(len(first))):
        total += (piece.double() - first).sum(dim=0)
    mean = first + total / len(rows)
    return mean.float() if single else mean


def _plus_product(products: Covariance, rows: Float[Tensor, "n d"]) -> Covariance:
    """Return products + rows^T rows; without a gradient, in place and from the diagonal blocks upwards only.

    Blocks of columns are multiplied by themselves, then the first with the second of each pair, then pairs
    with pairs, as many at a time as there are: eight blocks need 9/16 of the whole product.
    """
    if rows.requires_grad:
        return products + rows.T @ rows
    d = rows.shape[1]
    blocks = gcd(d, BLOCKS) if d >= WORTH_BLOCKS else 1
    width = d // blocks
    each = rows.view(-1, blocks, width)
    own = products.view(blocks, width, blocks, width).diagonal(dim1=0, dim2=2)
    own += torch.bmm(each.permute(1, 2, 0), each.permute(1, 0, 2)).permute(1, 2, 0)
    while width < d:
        pairs = rows.view(len(rows), -1, 2, width)
        here = products.view(-1, 2, width, d // width // 2, 2, width)[:, 0, :, :, 1].diagonal(dim1=0, dim2=2)
        here += torch.bmm(pairs[:, :, 0].permute(1, 2, 0), pairs[:, :, 1].permute(1, 0, 2)).permute(1, 2, 0)
        width *= 2
    return products


def _class_moments(
    points: Points, labels: Labels, classes: int | None, lengths: Float[Tensor, " n"]
) -> ClassMoments:
    check_labels(labels, len(points))
    count = int(labels.max()) + 1 if classes is None else classes
    counts = torch.bincount(labels, minlength=count)
    sums = torch.zeros(count, points.shape[1], dtype=torch.float64, device=points.device)
    direction_sums = sums.clone()
    for start in range(0, len(points), PANEL):
        part = slice(start, start + PANEL)
        rows, length = points[part].double(), lengths[part, None]
        sums = sums.index_add(0, labels[part], rows)
        units = rows / torch.where(length > 0, length, 1)
        direction_sums = direction_sums.index_add(0, labels[part], units)
    return ClassMoments(
        counts=counts,
        means=sums / counts.clamp(min=1)[:, None],
        direction_counts=torch.bincount(labels[lengths > 0], minlength=count),
        direction_sums=direction_sums,
    )


def _merge_classes(one: ClassMoments, other: ClassMoments) -> ClassMoments:
    count = max(len(one.counts), len(other.counts))
    one, other = _padded(one, count), _padded(other, count)
    counts = one.counts + other.counts
    share = (other.counts.double() / counts.clamp(min=1))[:, None]
    return ClassMoments(
        counts=counts,
        means=one.means + (other.means - one.means) * share,
        direction_counts=one.direction_counts + other.direction_counts,
        direction_sums=one.direction_sums + other.direction_sums,
    )


def _padded(some: ClassMoments, count: int) -> ClassMoments:
    missing = count - len(some.counts)
    vectors, numbers = (0, 0, 0, missing), (0, missing)
    return ClassMoments(
        counts=torch.nn.functional.pad(some.counts, numbers),
        means=torch.nn.functional.pad(some.means, vectors),
        direction_counts=torch.nn.functional.pad(some.direction_counts, numbers),
        direction_sums=torch.nn.functional.pad(some.direction_sums, vectors),
    )
