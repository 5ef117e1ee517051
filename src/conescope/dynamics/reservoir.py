"""A reservoir: so many of all rows that were seen, each as likely to be kept as any other (Vitter 1985)."""

import torch
from jaxtyping import Float
from torch import Tensor

from conescope.dynamics.frames import generator_for


def refilled(
    kept: Float[Tensor, "kept d"] | None,
    seen: int,
    rows: Float[Tensor, "n d"],
    size: int,
    seed: int,
) -> Float[Tensor, "more d"]:
    """Return the reservoir after these rows, which are numbered from `seen` on.

    The first `size` rows are kept; row number i after them replaces a random one with probability
    size / (i + 1). The rows given are left alone, and so is the generator of torch.
    """
    room = size - (0 if kept is None else len(kept))
    first = rows[:room] if room > 0 else rows[:0]
    held = first.clone() if kept is None else torch.cat([kept, first])
    rest = rows[len(first) :]
    if len(rest):
        begin = seen + len(first)
        draw = torch.rand(
            len(rest), dtype=torch.float64, generator=generator_for(seed + begin, torch.device("cpu"))
        )
        places = (draw * torch.arange(begin + 1, begin + 1 + len(rest))).long()
        for number in (places < size).nonzero().flatten().tolist():
            held[int(places[number])] = rest[number]
    return held
