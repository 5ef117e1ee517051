"""Hidden states of many batches -> one state a layer: moments of all points, and a sample of them.

Points wait in a buffer until there are enough for a product of matrices to be worth it; memory does not
grow with the inputs. All is kept on the device of the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._types import Points
from conescope.capture import Spot
from conescope.capture.pooling import first_of, last_of, mean_over, token_at
from conescope.scale.moments import Precision, moments
from conescope.scale.sample import draw
from conescope.scale.state import State, joined

BUFFER = 4096  # points of a layer that wait for their product


@dataclass
class Gathering:
    """The points of one layer as they come. The labels of the sample are the numbers of their inputs."""

    spot: Spot
    capacity: int
    seed: int
    precision: Precision
    rows: int = 0
    state: State | None = None
    waiting: list[Points] = field(default_factory=list)
    owners: list[Int64[Tensor, " n"]] = field(default_factory=list)
    held: int = 0

    def add(self, points: Float[Tensor, "m d"], owners: Int64[Tensor, " m"]) -> None:
        """Take points, and for each the number of the input that it comes from."""
        self.waiting.append(points.detach())
        self.owners.append(owners)
        self.held += len(points)
        if self.held >= BUFFER:
            self.fold()

    def fold(self) -> None:
        """Take the points that wait into the state.

        Raises:
            ValueError: naming an input whose hidden state is not finite.
        """
        if not self.held:
            return
        points, owners = torch.cat(self.waiting), torch.cat(self.owners)
        self.waiting, self.owners, self.held = [], [], 0
        check_states(points, owners, self.spot)
        part = State(
            moments=moments(points, precision=self.precision),
            sample=draw(
                points, owners.to(points.device), capacity=self.capacity, seed=self.seed, first=self.rows
            ),
            classes=None,
        )
        self.rows += len(points)
        self.state = part if self.state is None else joined(self.state, part)


def check_states(points: Points, owners: Int64[Tensor, " n"], spot: Spot) -> None:
    """Raise ValueError naming an input whose hidden state is not finite."""
    finite = torch.isfinite(points).all(dim=1)
    if not finite.all():
        lost = int(owners[int(finite.int().argmin())])
        raise ValueError(
            f"the hidden states of {spot.module} hold NaN or infinity, for input {lost} "
            "(counted from 0) first; leave it out, or run the model in float32"
        )


def taken(
    states: Float[Tensor, "batch tokens d"],
    kept: Tensor | None,
    first: Int64[Tensor, " batch"] | None,
    pooling: str,
    numbers: Sequence[int],
) -> tuple[Points, Int64[Tensor, " m"]]:
    """Return the points of a batch under a pooling, and the number of the input of each.

    Args:
        states: hidden states.
        kept: which tokens count, (batch, tokens) bool; None for all.
        first: the place of the first token that is not padding, special or not; None for 0.
        pooling: tokens (each one is a point), mean, first, last (of those that count), or cls.
        numbers: of the inputs.
    """
    owners = torch.tensor(numbers, device=states.device)
    size, length = states.shape[:2]
    if pooling == "cls":
        place = torch.zeros_like(owners) if first is None else first.to(states.device)
        return token_at(states, place), owners
    if kept is None:
        kept = torch.ones(size, length, dtype=torch.bool, device=states.device)
    kept = kept.to(states.device)
    if pooling == "tokens":
        return states[kept], owners.repeat_interleave(kept.sum(dim=1))
    if pooling == "mean":
        # what is left out may be anything, and halves are not summed as halves
        rows = torch.where(kept[..., None], states, 0)
        return mean_over(rows.to(torch.promote_types(rows.dtype, torch.float32)), kept), owners
    return token_at(states, first_of(kept) if pooling == "first" else last_of(kept)), owners
