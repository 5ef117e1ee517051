"""Products of low precision that tell which pairs of points may be nearer than a bound, and miss none.

Let h be the point x after rounding to the numbers that are multiplied (bfloat16 where the processor
multiplies them fastest, else float32), and e = |x - h|, computed. By the triangle inequality d(x_i, x_j) < B
needs |h_i - h_j| < B + e_i + e_j. Products are summed in float32 in any order: with K columns, u = 2^-24,
r = |h| the sum -|h_i - h_j|^2 / 2 is off by at most (2 K + 8) u (r_i^2 + r_j^2), norms included (Higham 2002,
section 3.1), and if it is rounded once more to bfloat16, by 2^-8 of itself. All of it is added to the bound,
so no pair is missed. Norms enter the product as further columns, as many as hold their 24 digits.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope.topology.placing import SINGLE, VANISHED, product_roundoff

ENTRIES = 1 << 22  # coordinates rounded at a time
FAR = -1e38  # below the product of any two points


@dataclass
class Factors:
    """Rows h whose products are -|h_i - h_j|^2 / 2."""

    left: Float[Tensor, "places k"]
    right: Float[Tensor, "places k"]
    error: Float[Tensor, " places"]  # |x - h|
    slack: Float[Tensor, " places"]  # slack_i + slack_j is more than squares are off
    output: float  # the share by which a product was rounded

    def ordered(self, order: Int64[Tensor, " n"], block: int) -> "Factors":
        """Return these rows in another order, and more rows, far away, up to whole blocks of rows."""
        far = -len(order) % block
        order = torch.cat([order, order.new_full((far,), len(self.error) - 1)])
        return Factors(self.left[order], self.right[order], self.error[order], self.slack[order], self.output)

    def limit(
        self,
        gaps: Float[Tensor, "blocks k"],
        own: Int64[Tensor, "blocks k"],
        others: Int64[Tensor, "blocks m"],
        rounded: float,
    ) -> Float[Tensor, "blocks k"]:
        """Return what the products of `own` and `others` exceed if the points may be nearer than the gaps.

        `rounded` is the factor by which the square of a gap is too small at most, as it was rounded itself.
        """
        reach = gaps + self.error[own] + self.error[others].amax(dim=1, keepdim=True)
        squared = reach.square() * rounded + self.slack[own] + self.slack[others].amax(dim=1, keepdim=True)
        return squared.float() * (-0.5 * (1 + self.output) * (1 + 8 * SINGLE))


def factors_of(rows: Float[Tensor, "n d"]) -> Factors:
    """Return the factors of points that lie within 2^-24 of their norm of these rows, and of one far away.

    Norms are computed in float32, which the slack allows for.
    """
    n, d = rows.shape
    low = multiplies_bfloat16(rows.device)
    numbers = torch.bfloat16 if low else torch.float32
    digits = 3 if low else 1
    k = d + 2 * digits
    left, right = (torch.ones(n + 1, k, dtype=numbers, device=rows.device) for _ in range(2))
    error, squares = (torch.zeros(n + 1, device=rows.device) for _ in range(2))
    left[n], right[n] = 0, 0
    left[n, d + digits], right[n, d] = 1, 1
    left[n, d] = right[n, d + digits] = FAR
    roundoff = SINGLE + (0 if low else product_roundoff(rows.device))
    height = max(ENTRIES // d, 1)
    for start in range(0, n, height):
        part = slice(start, min(start + height, n))
        rounded = rows[part].to(numbers)
        left[part, :d] = right[part, :d] = rounded
        wide = rounded.float()
        norms = torch.linalg.vector_norm(wide, dim=1)
        squares[part] = norms.square()
        error[part] = torch.linalg.vector_norm(wide.sub_(rows[part]), dim=1) * 1.001 + roundoff * 1.01 * norms
        rest = squares[part] / -2
        for digit in range(digits):
            piece = rest.to(numbers)
            left[part, d + digit] = right[part, d + digits + digit] = piece
            rest = rest - piece.float()
    error += VANISHED**0.5 * k**0.5
    # the columns of the norms may be rounded like any factor
    slack = ((4 * k + 16) * SINGLE * (1 + k * SINGLE) + 4 * (roundoff - SINGLE)) * squares + VANISHED * k
    return Factors(left, right, error, slack, 2.0**-8 if low else 0.0)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether products of bfloat16 are several times as fast as those of float32, and summed in it."""
    tiles = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return device.type == "cpu" and tiles is not None and bool(tiles())
