"""Where the blocks of a model are: one stack of them, or several, such as an encoder and a decoder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

# what configurations of transformers call the number of blocks
COUNTS = (
    "num_hidden_layers",
    "num_layers",
    "n_layer",
    "n_layers",
    "encoder_layers",
    "decoder_layers",
    "num_encoder_layers",
    "num_decoder_layers",
    "num_hidden_groups",  # ALBERT: blocks that run several times
)
PARTS = ("text_config", "vision_config", "audio_config", "encoder", "decoder")  # configurations inside
LISTED = 40  # module names in an error


@dataclass(frozen=True)
class Stack:
    """Blocks that run one after another, with the names of their modules.

    `ends` are the modules around them, from the inside, what the last of which returns is the hidden state
    of the stack.
    """

    name: str
    blocks: tuple[nn.Module, ...]
    names: tuple[str, ...]
    ends: tuple[nn.Module, ...] = ()


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside the wrappers of distributed training, torch.compile and peft."""
    while True:
        if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        elif hasattr(model, "peft_config") and hasattr(model, "get_base_model"):
            model = model.get_base_model()  # type: ignore[operator]
        else:
            return model


def backbone(model: nn.Module) -> nn.Module:
    """Return the part of a model that makes the hidden states, below any task head."""
    model = unwrapped(model)
    inner = getattr(model, "base_model", model)
    return inner if isinstance(inner, nn.Module) else model


def transformer_blocks(model: nn.Module) -> nn.ModuleList:
    """Return the list of blocks: the one outermost ModuleList as long as the configured number of layers."""
    config = getattr(model, "config", None)
    count = getattr(config, "num_hidden_layers", None)
    lists = _outermost_lists(model)
    found = [part for part in lists.values() if len(part) == count]
    if len(found) != 1:
        seen = ", ".join(f"{name} ({len(part)})" for name, part in lists.items()) or "none"
        raise ValueError(
            f"can not tell the blocks of {type(model).__name__}: expected one ModuleList of {count} modules, "
            f"found {seen}; use layer -1"
        )
    return found[0]


def stacks(model: nn.Module, blocks: Sequence[str] | None = None) -> tuple[Stack, ...]:
    """Return the stacks of blocks of a model, in the order of its modules.

    Without names, they are the outermost lists of modules as long as the configuration says, or, for a
    model without configuration, of modules of one class.

    Args:
        model: any module.
        blocks: names of modules, or of lists of modules, which make one stack in this order.

    Raises:
        ValueError: naming the modules there are, if a name is wrong or no stack is found.
    """
    model = unwrapped(model)
    if blocks is not None:
        return (_named(model, blocks),)
    found = [
        _stack(model, name, part) for name, part in _outermost_lists(model).items() if _counts(model, part)
    ]
    if not found:
        raise ValueError(
            f"found no list of blocks in {type(model).__name__}; say which modules to look behind, one "
            f"--blocks NAME each, among {_listing(model)}"
        )
    return _told_apart(found)


def _named(model: nn.Module, blocks: Sequence[str]) -> Stack:
    modules = dict(model.named_modules())
    chosen: dict[str, nn.Module] = {}
    for name in blocks:
        if not name or name not in modules:
            raise ValueError(
                f"there is no module {name!r} in {type(model).__name__}; there are {_listing(model)}"
            )
        part = modules[name]
        members = part.named_children() if isinstance(part, nn.ModuleList) else [("", part)]
        chosen |= {f"{name}.{key}".rstrip("."): member for key, member in members}
    if not chosen:
        raise ValueError(f"name at least one module; there are {_listing(model)}")
    return Stack("", tuple(chosen.values()), tuple(chosen))


def _outermost_lists(model: nn.Module) -> dict[str, nn.ModuleList]:
    lists = {name: part for name, part in model.named_modules() if isinstance(part, nn.ModuleList)}
    return {
        name: part
        for name, part in lists.items()
        if not any(name.startswith(f"{other}.") for other in lists if other)
    }


def _counts(model: nn.Module, part: nn.ModuleList) -> bool:
    """Return whether a list can be the blocks of the model."""
    config = getattr(model, "config", None)
    if config is None:
        return len({type(block) for block in part}) == 1
    linear = any(isinstance(inner, nn.Linear) or type(inner).__name__ == "Conv1D" for inner in part.modules())
    return linear and len(part) in set(_configured(config))  # without a linear map: convolutions that sense


def _configured(config: Any) -> Iterator[int]:
    for name in COUNTS:
        count = getattr(config, name, None)
        if isinstance(count, int):
            yield count
    for name in PARTS:
        part = getattr(config, name, None)
        if part is not None and hasattr(part, "to_dict"):
            yield from _configured(part)


def _stack(model: nn.Module, name: str, part: nn.ModuleList) -> Stack:
    return Stack(
        name=name,
        blocks=tuple(part),
        names=tuple(f"{name}.{number}" for number in range(len(part))),
        ends=tuple(_around(model, name)),
    )


def _around(model: nn.Module, name: str) -> Iterator[nn.Module]:
    """Yield the modules around a list, from the inside, as far as they hold no other list of blocks."""
    others = [other for other in _outermost_lists(model) if other != name]
    while name:
        name = name.rpartition(".")[0]
        prefix = f"{name}." if name else ""
        if any(other.startswith(prefix) and _counts(model, _module(model, other)) for other in others):
            return
        yield _module(model, name)


def _module(model: nn.Module, name: str) -> Any:
    return model.get_submodule(name)


def _told_apart(found: list[Stack]) -> tuple[Stack, ...]:
    """Return the stacks with names as short as tells them apart: "encoder" and "decoder", or none for one."""
    paths = [stack.name.split(".") for stack in found]
    named = []
    for path, stack in zip(paths, found, strict=True):
        others = [other for other in paths if other is not path]
        distinct = [
            word
            for place, word in enumerate(path)
            if any(other[place : place + 1] != [word] for other in others)
        ]
        named.append(Stack(distinct[0] if distinct else "", stack.blocks, stack.names, stack.ends))
    if len({stack.name for stack in named}) < len(named):
        return tuple(found)
    return tuple(named)


def _listing(model: nn.Module) -> str:
    names = [name for name, _ in model.named_modules() if name]
    more = [f"and {len(names) - LISTED} more"] if len(names) > LISTED else []
    return ", ".join([*names[:LISTED], *more]) or "none"
