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
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._check import check_finite, check_labels, check_points
from conescope._types import Covariance, Labels, Points, Scalar

Precision = Literal["single", "double"]

PANEL = 4096  # rows of one matrix product
CACHED = 1 << 18  # numbers that stay in a core's cache while they are read twice
GROUP = 32  # pieces of each core that are summed before their norms are looked at
SINGLE_RESOLUTION = 1e-6  # float32 products, summed in float64 over panels
STRIDE = 8  # of so many rows of a first panel one is asked where the panel lies
STRIP = 256  # columns of a product; what they give below the diagonal is known
ORDINARY = 1e15  # norms up to this, and down to its inverse, have float32 squares
SQUARABLE = 1e140  # the same for float64


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


class _Panel(NamedTuple):
    """What it gives over some of them; with a shift, `row_sum` is that of rows less the shift."""

    norms: Float[Tensor, " n"]
    row_sum: Float[Tensor, " d"]
    direction_sum: Float[Tensor, " d"]
    shifted: Float[Tensor, "n d"] | None  # the rows less the shift
    direction_square_sum: Float[Tensor, " d"] | None


def _first_order(points: Points, single: bool, first: int) -> _Sums:
    n, d = points.shape
    height = max(CACHED // d, 1)
    rows = GROUP * height * torch.get_num_threads()
    row_sum = direction_sum = torch.zeros(d, dtype=torch.float64, device=points.device)
    norms: list[Tensor] = []
    for start in range(0, n, rows):
        group = points[start : start + rows]
        swift = _swift(group) if single else None
        careful = range(0, len(group), height) if swift is None else ()
        rest = (_careful(group[at : at + height], single, first + start + at) for at in careful)
        for part in rest if swift is None else (swift,):
            norms.append(part.norms.double())
            row_sum, direction_sum = row_sum + part.row_sum, direction_sum + part.direction_sum
    return _Sums(torch.cat(norms), row_sum / n, direction_sum)


def _second_order(points: Points, single: bool, first: int) -> _Sums:
    n, d = points.shape
    shift = _rough_mean(points[:PANEL:STRIDE] if n > PANEL else points, single)
    mean = shift.double()
    direction_sum = square_sum = torch.zeros(d, dtype=torch.float64, device=points.device)
    products = torch.zeros(d, d, dtype=torch.float64, device=points.device)
    held = points.new_empty(min(n, PANEL) if single else 0, d, dtype=torch.float32)
    norms: list[Tensor] = []
    own: list[Tensor] = []
    between: list[Tensor] = []
    for start in range(0, n, PANEL):
        panel = points[start : start + PANEL]
        narrow = single and float(shift.abs().amax()) < ORDINARY
        # rows minus about the mean of all before: their products exceed the scatter at most twice
        part = _swift(panel, shift, held[: len(panel)]) if narrow else None
        part = part or _careful(panel, narrow, first + start, shift)
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


def _swift(
    panel: Points, shift: Float[Tensor, " d"] | None = None, shifted: Float[Tensor, "n d"] | None = None
) -> _Panel | None:
    """Return the sums by float32, in pieces that are read from memory once; fill in the rows less the shift.

    None where float32 does not hold them, where a norm is zero, and where there is a gradient to keep.
    """
    if panel.requires_grad:
        return None
    n, d = panel.shape
    norms = panel.new_empty(n, dtype=torch.float32)
    sums = norms.new_zeros(3, d, dtype=torch.float64)
    height = max(CACHED // d, 1)
    cores = max(min(torch.get_num_threads(), n // height), 1)
    end = n - n % (cores * height)
    for rows, each in ((slice(0, end), (cores, height)), (slice(end, n), (1, n - end))):
        if rows.start < rows.stop:
            less = None if shifted is None else shifted[rows].view(-1, *each, d)
            sums += _swept(panel[rows].view(-1, *each, d), norms[rows].view(-1, *each), shift, less)
    low, high = (float(end) for end in norms.aminmax())
    if not (low > 1 / ORDINARY and high < ORDINARY):  # so for NaN, too
        return None
    return _Panel(norms, sums[0], sums[1], shifted, None if shift is None else sums[2])


def _swept(
    points: Float[Tensor, "pieces cores height d"],
    norms: Float[Tensor, "pieces cores height"],
    shift: Float[Tensor, " d"] | None,
    shifted: Float[Tensor, "pieces cores height d"] | None,
) -> Float[Tensor, "3 d"]:
    """Fill in norms and, with a shift, rows less the shift; return three sums in float64.

    Of rows (less the shift), of directions, and with a shift of their squares. Each core sums up rows of
    which it has taken the norm, so that they are in its cache.
    """
    pieces, cores, height, d = points.shape
    weights = norms.new_ones(cores, 2, height)
    inverse = weights[:, 1]
    sums = norms.new_zeros(pieces, cores, 2, d)
    squares = norms.new_zeros(pieces, d)
    held = norms.new_empty(cores * height if shift is not None else 0, d)
    for at, (piece, length, total) in enumerate(zip(points, norms, sums, strict=True)):
        rows = piece.float()
        torch.linalg.vector_norm(rows, dim=2, out=length)
        torch.reciprocal(length, out=inverse)
        torch.bmm(weights, rows, out=total)
        if shift is not None and shifted is not None:
            square = torch.square(rows.flatten(0, 1), out=held)
            torch.mv(square.T, inverse.square().flatten(), out=squares[at])
            less = torch.sub(rows, shift, out=shifted[at])
            torch.sum(less, dim=1, out=total[:, 0])
    both = sums.sum(dim=(0, 1), dtype=torch.float64)
    return torch.cat([both, squares.sum(dim=0, dtype=torch.float64)[None]])


def _careful(panel: Points, single: bool, first: int, shift: Float[Tensor, " d"] | None = None) -> _Panel:
    """Return the same in float64, unless float32 does; differentiable."""
    length, exact = _norms(panel, single, first)
    rows = panel.double() if exact else panel.float()
    inverse = _inverse(length)
    shifted = squares = None
    if shift is not None:
        shifted, squares = rows - shift.to(rows.dtype), inverse.square() @ rows.square()
    row_sum = (rows if shifted is None else shifted).sum(dim=0)
    return _Panel(length, row_sum, inverse @ rows, shifted, squares)


def _rounding(n: int, d: int) -> float:
    """Return how far float64 sums of n products can be off, whatever the order in which parts merge."""
    return max(n, d) * torch.finfo(torch.float64).eps


def _rough_mean(rows: Points, single: bool) -> Float[Tensor, " d"]:
    """Return about the mean of some rows; coincident rows give that row to the last bit."""
    first = rows[0].detach().double()
    total = torch.zeros_like(first)
    for piece in torch.split(rows.detach(), max(CACHED // len(first), 1)):
        total += (piece.double() - first).sum(dim=0)
    mean = first + total / len(rows)
    return mean.float() if single else mean


def _norms(panel: Points, single: bool, start: int) -> tuple[Float[Tensor, " n"], bool]:
    """Return the norms of the rows, and whether they and their products need float64."""
    if single:
        length = torch.linalg.vector_norm(panel, dim=1, dtype=torch.float32)
        if _ordinary(panel.detach(), length.detach()):
            return length, False
    check_finite(panel, first=start)
    length = torch.linalg.vector_norm(panel.double(), dim=1)
    known = length.detach()
    short = known < 1 / SQUARABLE
    lost = bool(short.any()) and bool((panel[short] != 0).any())  # zero vectors are not lost
    if lost or float(known.max()) > SQUARABLE:
        raise ValueError(
            f"the norms of points must lie between {1 / SQUARABLE:g} and {SQUARABLE:g} for their squares to "
            f"exist, but one from row {start} on does not; change the unit of the points"
        )
    return length, True


def _ordinary(panel: Points, length: Float[Tensor, " n"]) -> bool:
    """Return whether norms in float32 are right, and so are products of the rows: zero vectors may be."""
    low, high = (float(end) for end in length.aminmax())
    if not high < ORDINARY or not low >= 0:  # not so for NaN either
        return False
    return low > 1 / ORDINARY or not bool((panel[length <= 1 / ORDINARY] != 0).any())


def _inverse(length: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return what makes directions of rows; zero vectors stay zero, also in the gradient."""
    return torch.where(length > 0, 1 / torch.where(length > 0, length, 1), 0)


def _plus_product(products: Covariance, rows: Float[Tensor, "n d"]) -> Covariance:
    """Return products + rows^T rows; without a gradient, in place and above the diagonal only."""
    if rows.requires_grad:
        return products + rows.T @ rows
    d = rows.shape[1]
    for left in range(0, d, STRIP):
        right = min(left + STRIP, d)
        for middle in range(left, right, STRIP // 2):  # below the diagonal nothing is needed
            part = slice(middle, min(middle + STRIP // 2, right))
            products[part, middle:right] += rows[:, part].T @ rows[:, middle:right]
        products[left:right, right:] += rows[:, left:right].T @ rows[:, right:]
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
