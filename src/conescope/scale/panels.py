"""Sums over a panel of rows: norms, rows, directions and their squares.

`swift_panel` takes them in float32, piece by piece, each read from memory once, and adds the pieces up in
float64. Where float32 does not hold the norms or their inverses, where a row is zero, and where a gradient is
kept, it gives way to `careful_panel`, which takes float32 or float64 as the rows need it. Both subtract a
shift on request, so that products of what is left are of the size of the scatter.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from conescope._check import check_finite
from conescope._types import Points

CACHED = 1 << 18  # numbers that stay in a core's cache while they are read twice
ORDINARY = 1e15  # norms up to this, and down to its inverse, have float32 squares
SQUARABLE = 1e140  # the same for float64


class Panel(NamedTuple):
    """The sums over some rows; with a shift, `row_sum` is that of rows less the shift."""

    norms: Float[Tensor, " n"]
    row_sum: Float[Tensor, " d"]
    direction_sum: Float[Tensor, " d"]
    shifted: Float[Tensor, "n d"] | None  # the rows less the shift
    direction_square_sum: Float[Tensor, " d"] | None


def cached_rows(d: int) -> int:
    """Return how many rows of d numbers stay in a core's cache, at least one."""
    return max(CACHED // d, 1)


def swift_panel(
    panel: Points, shift: Float[Tensor, " d"] | None = None, shifted: Float[Tensor, "n d"] | None = None
) -> Panel | None:
    """Return the sums by float32, in pieces that are read from memory once; fill in the rows less the shift.

    None where float32 does not hold them, where a norm is zero, and where there is a gradient to keep.
    """
    if panel.requires_grad:
        return None
    n, d = panel.shape
    norms = panel.new_empty(n, dtype=torch.float32)
    sums = norms.new_zeros(3, d, dtype=torch.float64)
    height = cached_rows(d)
    cores = max(min(torch.get_num_threads(), n // height), 1)
    end = n - n % (cores * height)
    for rows, each in ((slice(0, end), (cores, height)), (slice(end, n), (1, n - end))):
        if rows.start < rows.stop:
            less = None if shifted is None else shifted[rows].view(-1, *each, d)
            sums += _swept(panel[rows].view(-1, *each, d), norms[rows].view(-1, *each), shift, less)
    low, high = (float(end) for end in norms.aminmax())
    if not (low > 1 / ORDINARY and high < ORDINARY):  # so for NaN, too
        return None
    return Panel(norms, sums[0], sums[1], shifted, None if shift is None else sums[2])


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


def careful_panel(panel: Points, single: bool, first: int, shift: Float[Tensor, " d"] | None = None) -> Panel:
    """Return the sums by float64, unless float32 does; differentiable."""
    length, exact = _norms(panel, single, first)
    rows = panel.double() if exact else panel.float()
    inverse = _inverse(length)
    shifted = squares = None
    if shift is not None:
        shifted, squares = rows - shift.to(rows.dtype), inverse.square() @ rows.square()
    row_sum = (rows if shifted is None else shifted).sum(dim=0)
    return Panel(length, row_sum, inverse @ rows, shifted, squares)


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
