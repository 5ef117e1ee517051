"""The sums of one step at one linear map: the weight gradient, and what the shuffled null needs."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from conescope.dynamics.anisotropy_share import isoscore_star_of
from conescope.dynamics.gradient_energy import compared
from conescope.dynamics.null_energies import evenness_without, form_of, null_energies, squared
from conescope.dynamics.null_frames import NullFrames
from conescope.dynamics.passing import Passed
from conescope.dynamics.proxy import Proxy
from conescope.dynamics.shuffled import ShuffleSums, shuffle_sums, shuffled_energy_from_sums
from conescope.results.dynamics import TangentStep


@dataclass
class StepSums:
    """Sums over the runs of one step (micro-batches, or a module that runs twice); memory o d."""

    gradient: Float[Tensor, "o d"]
    shuffle: ShuffleSums | None = None

    def add(self, passed: Passed, proxy: Proxy) -> None:
        """Add a run. Padding is in the gradient, as it is in the weight's, but no position to shuffle."""
        self.gradient += passed.gradients.T @ passed.inputs
        inputs, gradients, real = passed
        if real is not None:
            inputs, gradients = inputs[real], gradients[real]
        found = shuffle_sums(inputs, gradients, proxy.tangent)
        self.shuffle = found if self.shuffle is None else self.shuffle.plus(found)


class Skipped(NamedTuple):
    """A step without a number, and why."""

    why: str  # "zero" or "not finite"


def controls(sums: StepSums, proxy: Proxy, *, step: int, frames: NullFrames) -> TangentStep | Skipped:
    """Return the energy of a step's gradient in the tangent proxy, with every null beside it."""
    largest = sums.gradient.abs().amax()
    if not torch.isfinite(largest):
        return Skipped("not finite")
    if largest == 0 or sums.shuffle is None:
        return Skipped("zero")
    d, k = proxy.tangent.shape
    gradient = sums.gradient / largest  # no square over- or underflows, and no share changes
    form = form_of(gradient, proxy.tangent)
    nulls, tangent = null_energies(form, frames), form.tangent()
    found = compared((tangent.whole[0] / form.total).clamp(0, 1), nulls.normals)
    others = torch.cat([proxy.following, proxy.uncentered], dim=1).to(gradient.dtype)
    inside = gradient @ others
    following, uncentered = (squared(part[None]) for part in inside.tensor_split(2, dim=1))
    shuffled = shuffled_energy_from_sums(sums.shuffle, proxy.tangent)
    variance = sums.shuffle.inside_square / sums.shuffle.input_square
    whole = isoscore_star_of(form.trace / form.trace, form.square / form.trace.square(), len(proxy.tangent))
    share, without = evenness_without(form, tangent)[0], nulls.evenness.mean()
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
    )


def _number(value: Tensor) -> float | None:
    return float(value) if torch.isfinite(value) else None
