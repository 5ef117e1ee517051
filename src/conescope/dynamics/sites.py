"""Where to look: the linear maps of a model, by name."""

from collections.abc import Sequence
from typing import NamedTuple, cast

from torch import Tensor, nn

from conescope.capture import stacks, unwrapped

LISTED = 12
BYPASSED = (
    "NonDynamicallyQuantizableLinear"  # of nn.MultiheadAttention, which reads its weight and never runs it
)


class Site(NamedTuple):
    """A linear map y = W x, of o outputs and d inputs; `transposed` if its weight is stored as (d, o)."""

    name: str
    module: nn.Module
    o: int
    d: int
    transposed: bool


def linear_maps(model: nn.Module, modules: Sequence[str] | None = None) -> tuple[Site, ...]:
    """Return the linear maps with these names, or the trainable ones inside the blocks of the model.

    Args:
        model: any module.
        modules: names as in `model.named_modules()`: of nn.Linear, or of Conv1D of transformers.

    Raises:
        ValueError: naming the linear maps there are, if a name is none of them or there is none to look at.
    """
    model = unwrapped(model)
    every = {name: part for name, part in model.named_modules() if _is_linear(part)}
    if modules is None:
        inside = {id(part) for stack in stacks(model) for block in stack.blocks for part in block.modules()}
        chosen = [
            name
            for name, part in every.items()
            if id(part) in inside and part.weight.requires_grad and type(part).__name__ != BYPASSED
        ]
    else:
        chosen = list(dict.fromkeys(modules))
    unknown = [name for name in chosen if name not in every]
    if unknown or not chosen:
        asked = f"{unknown[0]!r} is no linear map" if unknown else "found no trainable linear map"
        more = f" and {len(every) - LISTED} more" if len(every) > LISTED else ""
        raise ValueError(
            f"{asked} of {type(model).__name__}; there are {', '.join([*every][:LISTED]) or 'none'}{more}"
        )
    return tuple(_site(name, every[name]) for name in chosen)


def _is_linear(part: nn.Module) -> bool:
    return isinstance(part, nn.Linear) or type(part).__name__ == "Conv1D"


def _site(name: str, part: nn.Module) -> Site:
    weight = cast(Tensor, part.weight)
    transposed = not isinstance(part, nn.Linear)
    o, d = (weight.T if transposed else weight).shape
    return Site(name, part, int(o), int(d), transposed)
