"""Hidden states by forward hooks: only the layers asked for, without output_hidden_states.

Layers are numbered as in `hidden_states` of transformers: 0 is the output of the embeddings, i the
input of block i, and the last one (-1) what the backbone returns as its last hidden state, which for
models that end in a normalization is after it.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


class LayerCapture:
    """Keeps the hidden states of some layers of the next forward pass; a context manager.

    `arm()` before a forward pass and `take()` after it. Each layer is kept the first time it is seen, so
    the second forward pass of gradient checkpointing, which runs in backward, changes nothing. The hooks
    stay until the context ends, also by an exception, so that torch.compile meets them when it traces.

    Raises:
        ValueError: if a layer other than the last is asked for and the blocks can not be told.
    """

    def __init__(self, model: nn.Module, layers: Sequence[int] = (-1,)) -> None:
        self.backbone = backbone(model)
        self.places = [self._place(layer) for layer in layers]
        self.kept: dict[int, Tensor] = {}
        self.armed = False
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> "LayerCapture":
        for place, (module, before) in enumerate(self.places):
            if before:
                handle = module.register_forward_pre_hook(self._before(place), with_kwargs=True)
            else:
                handle = module.register_forward_hook(self._after(place))
            self._handles.append(handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.kept.clear()

    def arm(self) -> None:
        """Forget what was kept and keep what the next forward pass shows."""
        self.kept.clear()
        self.armed = True

    def take(self) -> list[Tensor]:
        """Return the hidden states in the order of the layers, and stop keeping."""
        self.armed = False
        if len(self.kept) < len(self.places):
            raise RuntimeError("the model ran without its backbone, so there is no hidden state to read")
        states = [self.kept[place] for place in range(len(self.places))]
        self.kept.clear()
        return states

    def _place(self, layer: int) -> tuple[nn.Module, bool]:
        """Return the module to hook and whether its input is meant rather than its output."""
        if layer == -1:
            return self.backbone, False
        blocks = transformer_blocks(self.backbone)
        count = len(blocks)
        if not -count - 1 <= layer <= count:
            raise ValueError(
                f"layer must be one of 0 to {count}, or -1 to {-count - 1} from the end, got {layer}"
            )
        number = layer % (count + 1)
        return (self.backbone, False) if number == count else (blocks[number], True)

    def _before(self, place: int) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._keep(place, args[0] if args else kwargs["hidden_states"])

        return hook

    def _after(self, place: int) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if not isinstance(output, torch.Tensor):
                output = output.last_hidden_state if hasattr(output, "last_hidden_state") else output[0]
            self._keep(place, output)

        return hook

    def _keep(self, place: int, states: Any) -> None:
        if not self.armed or place in self.kept:
            return
        if not isinstance(states, torch.Tensor) or states.ndim != 3:
            raise ValueError(
                "the hidden state of this model has no shape (batch, tokens, d), so it can not be pooled"
            )
        self.kept[place] = states


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
    lists = {name: part for name, part in model.named_modules() if isinstance(part, nn.ModuleList)}
    outermost = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
    found = [name for name in outermost if len(lists[name]) == count]
    if len(found) != 1:
        seen = ", ".join(f"{name} ({len(lists[name])})" for name in outermost) or "none"
        raise ValueError(
            f"can not tell the blocks of {type(model).__name__}: expected one ModuleList of {count} modules, "
            f"found {seen}; use layer -1"
        )
    return lists[found[0]]
