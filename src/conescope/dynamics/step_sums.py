"""The sums of one step at one linear map: the weight gradient, the same of shuffled rows, and variances."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from conescope.dynamics.anisotropy_share import isoscore_star_of
from conescope.dynamics.energy import energy
from conescope.dynamics.frames import generator_for
from conescope.dynamics.gradient_energy import compared
from conescope.dynamics.null_energies import evenness_without, form_of, null_energies, squared
from conescope.dynamics.null_frames import NullFrames
from conescope.dynamics.passing import Passed
from conescope.dynamics.proxy import Proxy
from conescope.dynamics.shuffled import shuffled_rows
from conescope.results.dynamics import TangentStep


@dataclass
class StepSums:
    """Sums over the runs of one step (micro-batches, or a module that runs twice); memory 2 o d."""

    gradient: Float[Tensor, "o d"]
    shuffled: Float[Tensor, "o d"]
    input_square: float = 0.0
    inside_square: float = 0.0
    runs: int = 0

    def add(self, passed: Passed, proxy: Proxy, *, seed: int) -> None:
        """Add a run. Padding is in both gradients, as it is in the weight's, but no position to shuffle.

        Products are taken in the type in which the training takes that of its weight gradient.
        """
        inputs, gradients, real = passed
        generator = generator_for(hash((seed, self.runs)), gradients.device)
        self.gradient += gradients.T @ inputs
        self.shuffled += shuffled_rows(gradients, real, generator=generator).T @ inputs
        shown = (inputs if real is None else inputs[real]).float()
        self.input_square += _square(shown)
        self.inside_square += _square(shown @ proxy.tangent.float())
        self.runs += 1


class Skipped(NamedTuple):
    """A step without a number, and why."""

    why: str  # "zero" or "not finite"


def controls(
    sums: StepSums, proxy: Proxy, other: Proxy | None, *, step: int, frames: NullFrames
) -> TangentStep | Skipped:
    """Return the energy of a step's gradient in the tangent proxy, with every null beside it."""
    largest = sums.gradient.abs().amax()
    if not torch.isfinite(largest):
        return Skipped("not finite")
    if largest == 0:
        return Skipped("zero")
    d, k = proxy.tangent.shape
    gradient = sums.gradient / largest  # no square over- or underflows, and no share changes
    form = form_of(gradient, proxy.tangent)
    nulls, tangent = null_energies(form, frames), form.tangent()
    found = compared((tangent.whole[0] / form.total).clamp(0, 1), nulls.normals)
    others = torch.cat([proxy.following, proxy.uncentered], dim=1).to(gradient.dtype)
    inside = gradient @ others
    following, uncentered = (squared(part[None]) for part in inside.tensor_split(2, dim=1))
    shuffled = energy(sums.shuffled / sums.shuffled.abs().amax(), proxy.tangent)
    variance = torch.tensor(sums.inside_square, dtype=torch.float64) / sums.input_square
    whole = isoscore_star_of(form.trace / form.trace, form.square / form.trace.square(), len(proxy.tangent))
    share, without = evenness_without(form, tangent)[0], nulls.evenness
    return TangentStep(
        step=step,
        energy=float(found.energy),
        normal=float(found.normals.mean()),
        ratio=_number(found.ratio),
        p=float(found.p),
        random=k / d,  # the expectation in a Haar frame, whatever the gradient
        following=float(following / form.total),
        uncentered=float(uncentered / form.total),
        shuffled=_number(shuffled),
        variance_share=_number(variance),
        excess=_number(found.energy / variance),
        isoscore_star=_number(whole),
        isoscore_star_without=_number(share),
        isoscore_star_without_normal=_number(without),
        delta=_number(share - without),
        other=None if other is None else float(energy(gradient.double(), other.tangent[:, :k])),
    )


def _square(rows: Float[Tensor, "n d"]) -> float:
    """Return the sum of squares: of a row in the type it has, over rows in float64."""
    return float(torch.linalg.vector_norm(rows, dim=1).double().square().sum())


def _number(value: Tensor) -> float | None:
    return float(value) if torch.isfinite(value) else None
