"""The sums of one step at one linear map: the weight gradient, and what the shuffled null needs."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from conescope.dynamics.anisotropy_share import anisotropy_share_from_scatter
from conescope.dynamics.energy import energy_from_gram
from conescope.dynamics.frames import generator_for, normal_frames, random_frames
from conescope.dynamics.gradient_energy import compared
from conescope.dynamics.passing import Passed
from conescope.dynamics.proxy import Proxy
from conescope.dynamics.shuffled import ShuffleSums, shuffle_sums, shuffled_energy_from_sums
from conescope.results.dynamics import TangentStep

AT_ONCE = 1 << 22  # numbers of the frames that are held at a time


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


def controls(sums: StepSums, proxy: Proxy, *, step: int, draws: int, seed: int) -> TangentStep | Skipped:
    """Return the energy of a step's gradient in the tangent proxy, with every null beside it."""
    gradient = sums.gradient.double()
    largest = gradient.abs().amax()
    if not torch.isfinite(largest):
        return Skipped("not finite")
    if largest == 0 or sums.shuffle is None:
        return Skipped("zero")
    gradient = gradient / largest  # no square over- or underflows, and no share changes
    gram = gradient.T @ gradient
    mean = gradient.mean(dim=0)
    scatter = gram - len(gradient) * torch.outer(mean, mean)
    d, k = proxy.tangent.shape
    generator = generator_for(seed, gradient.device)
    normals, random, evenness = [], [], []
    held = max(AT_ONCE // (d * k), 1)
    for first in range(0, draws, held):
        count = min(held, draws - first)
        frames = normal_frames(proxy.tangent, count, generator=generator)
        normals.append(energy_from_gram(gram, frames))
        share = anisotropy_share_from_scatter(scatter, proxy.tangent, frames)
        evenness.append(share.normals)
        random.append(energy_from_gram(gram, random_frames(d, k, count, generator=generator)))
    found = compared(energy_from_gram(gram, proxy.tangent), torch.cat(normals))
    shuffled = shuffled_energy_from_sums(sums.shuffle, proxy.tangent)
    variance = sums.shuffle.inside_square / sums.shuffle.input_square
    without = torch.cat(evenness).mean()
    return TangentStep(
        step=step,
        energy=float(found.energy),
        normal=float(found.normals.mean()),
        ratio=_number(found.ratio),
        p=float(found.p),
        random=float(torch.cat(random).mean()),
        following=float(energy_from_gram(gram, proxy.following)),
        uncentered=float(energy_from_gram(gram, proxy.uncentered)),
        shuffled=_number(shuffled),
        variance_share=_number(variance),
        excess=_number(found.energy / variance),
        isoscore_star=_number(share.whole),
        isoscore_star_without=_number(share.without),
        isoscore_star_without_normal=_number(without),
        delta=_number(share.without - without),
    )


def _number(value: Tensor) -> float | None:
    return float(value) if torch.isfinite(value) else None
