"""Queries, keys and weights of attention heads, by hooks on the projections of each attention module.

Queries and keys are what the projections return: before rotary embeddings, normalization and scaling.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from conescope.capture.stacks import unwrapped

Layout = Literal["apart", "stacked", "grouped"]
PAIRS = (  # names of the projections of queries and of keys; the last is cross-attention of GPT-2
    ("query", "key"),
    ("q_proj", "k_proj"),
    ("q", "k"),
    ("q_lin", "k_lin"),
    ("q_attn", "c_attn"),
)
FUSED: dict[str, Layout] = {  # one projection for queries, keys and values
    "c_attn": "stacked",
    "qkv": "stacked",
    "Wqkv": "stacked",
    "query_key_value": "grouped",
}
HEADS = ("num_attention_heads", "num_heads", "n_heads", "n_head")


class Attention(NamedTuple):
    """An attention module and its projections, which are one module where they are fused.

    `stacked` projections return all queries, then all keys, then all values; `grouped` ones return, for each
    key head, its queries, its key and its value.
    """

    name: str
    module: nn.Module
    query: nn.Module
    key: nn.Module
    layout: Layout
    heads: int


class Heads(NamedTuple):
    """What one run of an attention module shows. It has a key head for each query head, or for several.

    `cross` says that keys come from elsewhere than queries. `turn` counts the runs in one forward pass.
    """

    attention: Attention
    turn: int
    queries: Float[Tensor, "rows queries heads d"]
    keys: Float[Tensor, "rows keys groups d"]
    weights: Float[Tensor, "rows heads queries keys"]
    cross: bool


See = Callable[[Heads], None]


def attentions(model: nn.Module) -> tuple[Attention, ...]:
    """Return the attention modules of a model, in the order of its modules.

    Raises:
        ValueError: naming the modules that look like attention, if none has projections of known names, or
            if the number of heads can not be told.
    """
    model = unwrapped(model)
    found = []
    for name, module in model.named_modules():
        inner = dict(module.named_children())
        for query, key in PAIRS:
            if query in inner and key in inner:
                found.append((name, module, inner[query], inner[key], "apart"))
                break
        else:
            fused = [(inner[each], layout) for each, layout in FUSED.items() if each in inner]
            found += [(name, module, part, part, layout) for part, layout in fused[:1]]
    if not found:
        alike = [name for name, _ in model.named_modules() if "attn" in name or "attention" in name.lower()]
        known = ", ".join([*("/".join(pair) for pair in PAIRS), *FUSED])
        raise ValueError(
            f"found no attention in {type(model).__name__} whose projections of queries and keys are named "
            f"{known}; modules with attention in their names: {', '.join(alike) or 'none'}"
        )
    return tuple(
        Attention(name, module, query, key, layout, _heads(model, name))  # type: ignore[arg-type]
        for name, module, query, key, layout in found
    )


def columns(
    layout: Layout, width: int, key_width: int, heads: int, d: int
) -> tuple[Int64[Tensor, "heads d"], Int64[Tensor, "groups d"]]:
    """Return which columns of its projection each query head has, and each key head.

    Args:
        layout: how a projection is divided.
        width: of what the projection of queries returns.
        key_width: of what the projection of keys returns; of fused ones, the same.
        heads: query heads.
        d: numbers of a head.

    Raises:
        ValueError: if heads of d numbers do not fill the projections.
    """
    if layout == "apart":
        groups = key_width // d
        fits = width == heads * d and key_width == groups * d
    else:
        groups = (width // d - heads) // 2
        fits = width == (heads + 2 * groups) * d
    if not fits or groups < 1 or heads % groups:
        raise ValueError(
            f"projections of {width} and {key_width} numbers do not divide into {heads} heads of {d} "
            "numbers; this attention is not known"
        )
    every = torch.arange(width)
    if layout == "grouped":
        parts = every.reshape(groups, heads // groups + 2, d)
        return parts[:, :-2].reshape(heads, d), parts[:, -2]
    start = 0 if layout == "apart" else heads * d
    keys = torch.arange(start, start + groups * d).reshape(groups, d)
    return every[: heads * d].reshape(heads, d), keys


class HeadTaps:
    """Shows queries, keys and weights of attention modules as they run; a context manager.

    Args:
        found: what `attentions` returned.
        see: is called after each run of an attention module that returns its weights.
        level: whether to put queries to 0, so that weight falls on every key that a query may attend to.
    """

    def __init__(self, found: Sequence[Attention], see: See, *, level: bool = False) -> None:
        self.found = tuple(found)
        self.see = see
        self.level = level
        self.turns = dict.fromkeys(range(len(found)), 0)
        self.silent: list[str] = []  # modules that ran and returned no weights
        self._now: dict[tuple[int, bool], tuple[Tensor, Any]] = {}  # what a projection returned, of what
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> "HeadTaps":
        for number, attention in enumerate(self.found):
            self._handles.append(attention.query.register_forward_hook(self._projection(number, False)))
            if attention.key is not attention.query:
                self._handles.append(attention.key.register_forward_hook(self._projection(number, True)))
            self._handles.append(attention.module.register_forward_hook(self._attention(number)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._now.clear()

    def begin(self) -> None:
        """Count turns anew, before a forward pass."""
        self.turns = dict.fromkeys(self.turns, 0)
        self._now.clear()

    def _projection(self, number: int, keys: bool) -> Any:
        attention = self.found[number]

        def hook(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
            self._now[number, keys] = output, args[0] if args else None
            if keys or not self.level:
                return None
            if attention.layout == "apart":
                return torch.zeros_like(output)
            width = output.shape[-1]
            mine, _ = columns(attention.layout, width, width, attention.heads, _size(attention))
            output = output.clone()
            output[..., mine.flatten().to(output.device)] = 0
            return output

        return hook

    def _attention(self, number: int) -> Any:
        attention = self.found[number]

        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            turn = self.turns[number]
            self.turns[number] += 1
            queries, source = self._now.pop((number, False), (None, None))
            keys, other = self._now.pop((number, True), (queries, source))
            if queries is None or keys is None or queries.ndim != 3 or keys.ndim != 3:
                self.silent.append(attention.name)
                return
            shape = (len(queries), attention.heads, queries.shape[1], keys.shape[1])
            parts = output if isinstance(output, tuple | list) else ()
            weights = [part for part in parts if isinstance(part, Tensor) and part.shape == shape]
            if not weights:
                self.silent.append(attention.name)
                return
            widths = queries.shape[-1], keys.shape[-1]
            if hasattr(module, "q_attn") and attention.layout == "apart":
                keys = keys[..., : widths[0]]  # keys and values of the other side are fused
                widths = widths[0], widths[0]
            d = widths[0] // attention.heads if attention.layout == "apart" else _size(attention)
            mine, theirs = columns(attention.layout, *widths, attention.heads, d)
            queries, keys = queries[..., mine.to(queries.device)], keys[..., theirs.to(keys.device)]
            cross = other is not source
            self.see(Heads(attention, turn, queries.detach(), keys.detach(), weights[-1].detach(), cross))

        return hook


@contextmanager
def weights_returned(model: nn.Module, *, collected: bool = False) -> Iterator[None]:
    """Let the attention modules of a model of transformers return their weights; restore it afterwards.

    Attention computes weights where it is "eager". Older modules return them only if the whole model is to
    return those of all its layers, which needs memory for all at once: `collected`.
    """
    configs: dict[int, Any] = {}
    for module in unwrapped(model).modules():
        config = getattr(module, "config", None)
        if hasattr(config, "_attn_implementation") and hasattr(config, "output_attentions"):
            configs.setdefault(id(config), config)
    # the outermost comes first, and setting it sets those inside it
    before = [(each, each._attn_implementation, each.output_attentions) for each in configs.values()]
    try:
        for config in configs.values():
            config._attn_implementation = "eager"
            config.output_attentions = collected or config.output_attentions
        yield
    finally:
        for config, _, asked in before:
            config.output_attentions = asked
        for config, implementation, _ in before:
            config._attn_implementation = implementation


def _heads(model: nn.Module, name: str) -> int:
    """Return the number of heads that an attention module says itself, or the nearest configuration."""
    module = model.get_submodule(name)
    path = name.split(".") if name else []
    around = [model.get_submodule(".".join(path[:end])) for end in range(len(path), -1, -1)]
    for holder in (module, *(getattr(part, "config", None) for part in around)):
        for word in HEADS:
            count = getattr(holder, word, None)
            if isinstance(count, int):
                return count
    raise ValueError(
        f"can not tell how many heads {name or type(model).__name__} has: neither it nor a configuration "
        f"around it has one of {', '.join(HEADS)}; set it on the module"
    )


def _size(attention: Attention) -> int:
    """Return the numbers of a head of a fused projection."""
    for word in ("head_dim", "head_size"):
        size = getattr(attention.module, word, None)
        if isinstance(size, int):
            return size
    fed = getattr(attention.query, "in_features", None) or attention.query.weight.shape[0]  # type: ignore
    return int(fed) // attention.heads
