"""Sliced Gaussian: make the points look like a standard normal cloud, along many random lines.

Along a random unit vector a the points have the coordinates y_i = a . x_i / scale. Their characteristic
function is compared with that of the normal distribution, in the norm weighted by the latter:

    statistic(a) = n * integral from -3 to 3 of |mean over i of e^(i t y_i) - e^(-t^2 / 2)|^2 e^(-t^2 / 2) dt
    loss         = mean over the slices a of statistic(a)

The integral is the trapezoid rule on 17 knots in [0, 3], twice. 0 would be reached if all projections had
the normal characteristic function; n independent normal points have a mean of 1.05, whatever n, since one
point more makes the square smaller and n larger. For any other distribution the loss grows as n does; with
`mean=True` it does not, being divided by n.

Unchanged by rotation, but for the draw of the slices. The mean matters, and the scale: of all regularizers
here this is the one that asks for a position, a scale and a shape at once.

This is SIGReg, of LeJEPA (Balestriero and LeCun, 2025, arXiv:2511.08544), an Epps-Pulley test of each slice;
there the loss is (1 - lambda) times the invariance of the views plus lambda times this.
"""

import math
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from conescope._types import Labels, Points, Scalar
from conescope.losses.prepared import full_precision, zero_loss
from conescope.losses.weights import check_weight

Scale: TypeAlias = Literal["unit", "dimension"] | float

SLICES = 256  # published, in the minimal script
KNOTS = 17  # published
REACH = 3.0  # published: the last knot


def sliced_gaussian_loss(
    points: Points,
    labels: Labels | None = None,
    *,
    slices: int = SLICES,
    scale: Scale = "unit",
    mean: bool = False,
    generator: torch.Generator | None = None,
) -> Scalar:
    """Return the loss, from 0 to at most 7.5 n (7.5 with `mean`).

    The gradient is bounded, and a point far out is hardly pulled at all. Where all points are equal they have
    the same gradient, so that an exact collapse is moved to the origin, but not opened; as soon as they
    differ, a tight cloud near the origin is spread.

    Fewer than two points give loss 0 with gradient 0. A point that is not finite makes the loss NaN. Computed
    in float32 under any autocast (float64 for float64 points). Memory is 17 n slices numbers, a few times.

    Args:
        points: one embedding a row.
        labels: without meaning here; `PerClass` gives them one.
        slices: how many random unit vectors, at least 1.
        scale: the standard deviation that each coordinate is to have: "unit" for 1 (published), "dimension"
            for 1 / sqrt(d), with which points of length 1 are not punished for it, or a number.
        mean: divide by n.
        generator: where the slices are drawn from; the default of the device of the points without one.

    Raises:
        TypeError: if the points are not floating point.
        ValueError: if they are not of shape (n, d), or a setting is out of its range.

    >>> sliced_gaussian_loss(torch.tensor([[-1.0], [1.0]]))  # the slices of a line are 1 and -1
    tensor(0.2057)
    """
    _check_settings(slices, scale)
    with full_precision(points) as wide:
        n, d = wide.shape
        if n < 2:
            return zero_loss(wide)
        factor = math.sqrt(d) if scale == "dimension" else 1.0 if scale == "unit" else 1 / float(scale)
        projections = wide @ (unit_slices(slices, d, like=wide, generator=generator).T * factor)
        loss = normal_statistics(projections).mean()
        return loss / n if mean else loss


def unit_slices(
    count: int, d: int, *, like: Tensor, generator: torch.Generator | None = None
) -> Float[Tensor, "slices d"]:
    """Return random unit vectors, in the type and on the device of `like`, drawn where the generator is."""
    device = like.device if generator is None else generator.device
    drawn = torch.randn(count, d, dtype=torch.float32, device=device, generator=generator)
    drawn = drawn.to(like.device, like.dtype, non_blocking=True)
    directions: Float[Tensor, "slices d"] = drawn / torch.linalg.vector_norm(drawn, dim=1, keepdim=True)
    return directions


def normal_statistics(projections: Float[Tensor, "n slices"]) -> Float[Tensor, " slices"]:
    """Return how far each column is from a standard normal sample: n times the weighted squared distance."""
    knots = torch.linspace(0, REACH, KNOTS, dtype=projections.dtype, device=projections.device)
    normal = torch.exp(-knots.square() / 2)
    weights = torch.full_like(
        knots, 2 * REACH / (KNOTS - 1)
    )  # twice the trapezoid rule, as t and -t are alike
    weights[0] /= 2  # a list of places would be copied to the device, and waited for
    weights[-1] /= 2
    angles = projections[:, :, None] * knots
    squares = (angles.cos().mean(dim=0) - normal).square() + angles.sin().mean(dim=0).square()
    return torch.mv(squares, weights * normal) * len(projections)


class SlicedGaussianLoss(nn.Module):
    """`sliced_gaussian_loss` as a module, scaled by `weight`.

    Each call in training draws other slices. With a `seed` they follow from it and the number of calls so
    far, which the state dict holds: every rank of a job has the same ones, and a run that is resumed goes
    on with the ones it would have had. Without, they come from torch's generator of the device. Calls in
    evaluation are not counted, so with a seed all of them between two steps have the same slices.
    """

    def __init__(
        self,
        weight: float = 1.0,
        slices: int = SLICES,
        scale: Scale = "unit",
        mean: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        _check_settings(slices, scale)
        self.weight = check_weight(weight)
        self.slices = slices
        self.scale = scale
        self.mean = mean
        self.seed = seed
        self.calls = 0

    def forward(self, points: Points, labels: Labels | None = None) -> Scalar:
        generator = None
        if self.seed is not None:
            generator = torch.Generator(points.device).manual_seed(_mixed(self.seed, self.calls))
        self.calls += self.training
        return self.weight * sliced_gaussian_loss(
            points, labels, slices=self.slices, scale=self.scale, mean=self.mean, generator=generator
        )

    def extra_repr(self) -> str:
        settings = f"scale={self.scale!r}, mean={self.mean}, seed={self.seed}"
        return f"weight={self.weight}, slices={self.slices}, {settings}"

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.calls)

    def set_extra_state(self, state: Tensor) -> None:
        self.calls = int(state)


def _mixed(seed: int, calls: int) -> int:
    """Return another seed, so that seeds 0 and 1 do not share the slices of all steps but one."""
    return (seed * 0x9E3779B97F4A7C15 + calls) % 2**63


def _check_settings(slices: int, scale: Scale) -> None:
    if slices < 1:
        raise ValueError(f"slices is a number of random directions, at least 1, got {slices}")
    named = scale in ("unit", "dimension")
    if not named and (isinstance(scale, str) or not 0 < scale < math.inf):
        raise ValueError(f'scale must be "unit", "dimension" or a positive number, got {scale!r}')
