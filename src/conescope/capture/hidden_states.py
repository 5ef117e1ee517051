"""Hidden states by forward hooks: only the layers asked for, without output_hidden_states.

Layers are numbered as in `hidden_states` of transformers: 0 is the output of the embeddings, i the
input of block i, and the last one (-1) what the backbone returns as its last hidden state, which for
models that end in a normalization is after it.
"""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from conescope.capture.stacks import backbone, transformer_blocks

See = Callable[[int, Any], None]  # told the number of a place, and what passes there


class Place(NamedTuple):
    """Where to look: what a module returns, or with `before`, what it is given."""

    module: nn.Module
    before: bool


class Taps:
    """Shows what passes at some places of a model, as long as the context is open; a context manager.

    The hooks are gone when it ends, also by an exception, and stay until then, so that torch.compile meets
    them when it traces.
    """

    def __init__(self, places: Sequence[Place], see: See) -> None:
        self.places = tuple(places)
        self.see = see
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> "Taps":
        for number, (module, before) in enumerate(self.places):
            if before:
                handle = module.register_forward_pre_hook(self._before(number), with_kwargs=True)
            else:
                handle = module.register_forward_hook(self._after(number))
            self._handles.append(handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _before(self, number: int) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.see(number, args[0] if args else kwargs["hidden_states"])

        return hook

    def _after(self, number: int) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if not isinstance(output, torch.Tensor):
                output = output.last_hidden_state if hasattr(output, "last_hidden_state") else output[0]
            self.see(number, output)

        return hook


class LayerCapture:
    """Keeps the hidden states of some layers of the next forward pass; a context manager.

    `arm()` before a forward pass and `take()` after it. Each layer is kept the first time it is seen, so
    the second forward pass of gradient checkpointing, which runs in backward, changes nothing.

    Raises:
        ValueError: if a layer other than the last is asked for and the blocks can not be told.
    """

    def __init__(self, model: nn.Module, layers: Sequence[int] = (-1,)) -> None:
        self.backbone = backbone(model)
        self.kept: dict[int, Tensor] = {}
        self.armed = False
        self._taps = Taps([self._place(layer) for layer in layers], self._keep)

    def __enter__(self) -> "LayerCapture":
        self._taps.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._taps.__exit__(kind, error, trace)
        self.kept.clear()

    def arm(self) -> None:
        """Forget what was kept and keep what the next forward pass shows."""
        self.kept.clear()
        self.armed = True

    def take(self) -> list[Tensor]:
        """Return the hidden states in the order of the layers, and stop keeping."""
        self.armed = False
        places = range(len(self._taps.places))
        if len(self.kept) < len(places):
            raise RuntimeError("the model ran without its backbone, so there is no hidden state to read")
        states = [self.kept[place] for place in places]
        self.kept.clear()
        return states

    def _place(self, layer: int) -> Place:
        if layer == -1:
            return Place(self.backbone, before=False)
        blocks = transformer_blocks(self.backbone)
        count = len(blocks)
        if not -count - 1 <= layer <= count:
            raise ValueError(
                f"layer must be one of 0 to {count}, or -1 to {-count - 1} from the end, got {layer}"
            )
        number = layer % (count + 1)
        return Place(self.backbone, before=False) if number == count else Place(blocks[number], before=True)

    def _keep(self, place: int, states: Any) -> None:
        if not self.armed or place in self.kept:
            return
        if not isinstance(states, torch.Tensor) or states.ndim != 3:
            raise ValueError(
                "the hidden state of this model has no shape (batch, tokens, d), so it can not be pooled"
            )
        self.kept[place] = states
