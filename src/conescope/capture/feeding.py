"""Gives blocks hidden states of one's own while their model runs, and leaves them their other arguments.

Masks, rotary embeddings and relative biases are made by the model around its blocks. So it is the model that
runs, on any input of the right shape, and what each block is given is replaced.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

Feed = Callable[[int, Tensor], Tensor | None]  # told the number of a module and what it is given


@contextmanager
def fed(modules: Sequence[nn.Module], feed: Feed) -> Iterator[None]:
    """Show what goes into some modules, and put what `feed` returns in its place, unless that is None.

    The hooks are gone when the block ends, also by an exception.
    """
    with ExitStack() as hooks:
        for number, module in enumerate(modules):
            handle = module.register_forward_pre_hook(_hook(number, feed), with_kwargs=True)
            hooks.callback(handle.remove)
        yield


def _hook(number: int, feed: Feed) -> Any:
    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        place = _states(module, args, kwargs)
        new = feed(number, args[place] if isinstance(place, int) else kwargs[place])
        if new is None:
            return None
        if isinstance(place, int):
            return (*args[:place], new, *args[place + 1 :]), kwargs
        return args, kwargs | {place: new}

    return hook


def _states(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | str:
    """Return where the hidden states are among the arguments: the first tensor of real numbers."""
    if "hidden_states" in kwargs:
        return "hidden_states"
    given: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
    for place, value in given:
        if isinstance(value, Tensor) and value.is_floating_point():
            return place
    raise ValueError(
        f"{type(module).__name__} is given no tensor of real numbers, so its input can not be replaced; "
        "name other blocks with --blocks"
    )
