"""The attention and the feed-forward module of a transformer block: where each begins and where it ends.

A part ends before its result is added to what goes around it. Most models leave that sum to the block, so
that the part ends with its module; where a module adds (and perhaps normalizes) by itself, as in BERT, the
part ends with the linear map before that.
"""

import inspect
import re
from typing import NamedTuple

from torch import nn

ATTENTION = re.compile(r"attn|attention", re.IGNORECASE)
CROSS = re.compile(r"cross|encoder_?attn|encoder_?attention|encdec", re.IGNORECASE)
FEED_FORWARD = re.compile(r"(mlp|ffn|ff|feed_?forward|densereludense|moe)\d*", re.IGNORECASE)
PAIRS = (  # two modules of a block that are its feed-forward part together
    ("intermediate", "output"),
    ("fc1", "fc2"),
    ("linear1", "linear2"),
    ("lin1", "lin2"),
    ("ffn", "ffn_output"),
)
LAST_MAPS = ("output.dense", "dense", "o_proj", "out_proj", "c_proj", "o", "wo", "out_lin", "proj")
ADDENDS = {"residual", "input_tensor"}  # arguments of modules that add


class Part(NamedTuple):
    """A part of a block: the module that is given its input, the one that returns its output, its name."""

    entry: nn.Module
    exit: nn.Module
    name: str


class Parts(NamedTuple):
    """What was found in a block; None for what it has not, or hides."""

    attention: Part | None
    mlp: Part | None


def parts(block: nn.Module) -> Parts:
    """Return the self-attention and the feed-forward part of a block, by the names of its modules.

    Attention from a decoder to its encoder is neither. Of several parts of a kind it is the first.
    """
    name, attention = _attention(block)
    return Parts(
        None if attention is None else Part(attention, _before_sum(attention), name),
        _feed_forward(block, name),
    )


def _attention(block: nn.Module) -> tuple[str, nn.Module | None]:
    for name, module in block.named_modules():
        words = f"{name.rpartition('.')[2]} {type(module).__name__}"
        crosses = CROSS.search(name) or CROSS.search(type(module).__name__)
        if not name or not ATTENTION.search(words) or crosses or not _composed(module):
            continue
        inner, found = _attention(module) if _normalizes(module) else ("", None)
        if found is not None and "output" not in dict(module.named_children()):  # T5, MPNet: a shell
            return f"{name}.{inner}", found
        return name, module
    return "", None


def _feed_forward(block: nn.Module, attention: str) -> Part | None:
    for name, module in block.named_modules():
        inside = bool(attention) and f"{name}.".startswith(f"{attention}.")
        if inside or not FEED_FORWARD.fullmatch(name.rpartition(".")[2]) or not _composed(module):
            continue
        return Part(module, _last_map(module) if _adds(module) else module, name)
    for first, last in PAIRS:
        entry, end = getattr(block, first, None), getattr(block, last, None)
        if isinstance(entry, nn.Module) and isinstance(end, nn.Module):
            return Part(entry, _last_map(end), f"{first}, {last}")
    return None


def _composed(module: nn.Module) -> bool:
    """Return whether a module is more than a linear map, a normalization or dropout."""
    matrices = any(parameter.ndim >= 2 for parameter in module.parameters())
    return matrices and any(True for _ in module.children())


def _before_sum(attention: nn.Module) -> nn.Module:
    return _last_map(attention) if _adds(attention) else attention


def _adds(module: nn.Module) -> bool:
    """Return whether a module adds its result to its input."""
    takers = [module, *(child for name, child in module.named_children() if name == "output")]
    given = {name for taker in takers for name in inspect.signature(taker.forward).parameters}
    return bool(given & ADDENDS) or any(_normalizes(taker) for taker in takers)


def _normalizes(module: nn.Module) -> bool:
    """Return whether a module holds a normalization, other than of queries and keys."""
    return any(
        "norm" in type(child).__name__.lower() and not re.match(r"(q|k|query|key)_?(layer)?_?norm", name)
        for name, child in module.named_children()
    )


def _last_map(module: nn.Module) -> nn.Module:
    """Return the linear map with which a module ends, or itself where there is none to tell."""
    named = dict(module.named_modules())
    ends = [named[name] for name in LAST_MAPS if name in named]
    ends = [end for end in ends if any(parameter.ndim == 2 for parameter in end.parameters())]
    maps = [part for part in named.values() if isinstance(part, nn.Linear)]
    candidates: list[nn.Module] = [*ends[:1], *maps[-1:], module]
    return candidates[0]
