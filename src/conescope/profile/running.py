"""The forward passes of a profile: what the hooks see, pooled, goes to the gathering of its layer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from conescope.capture import Batch, Prepared, Spot, Spots, Taps, Tokens, positions, spots, stacks
from conescope.capture.pooling import first_of
from conescope.profile.gathering import Gathering, taken

FOLD_EVERY = 32  # batches, so that what waits is not lost for long when a run is stopped

Advance = Callable[[int, int], None]  # told how many inputs are done, and of how many
Look = Callable[[Spot, Tensor, Tokens | None, Sequence[int]], None]  # shown all positions of a layer
Pause = Callable[[int], None]  # told after how many batches all that was seen is in the states


@contextmanager
def evaluating(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Put the model on a device and into evaluation mode, and back into its own when the block ends."""
    modes = {module: module.training for module in model.modules()}
    model.to(device).eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def device_of(model: nn.Module) -> torch.device:
    """Return where the first parameter of a model is; the CPU if it has none."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def layers_of(
    model: nn.Module, prepared: Prepared, device: torch.device, blocks: Sequence[str] | None
) -> Spots:
    """Return the layers that the shortest of the inputs shows."""
    shortest = min(range(len(prepared.sizes)), key=lambda number: prepared.sizes[number])
    batch = prepared.batch([shortest])
    return spots(stacks(model, blocks), lambda: forward(model, batch, device), batch.size)


def forward(model: nn.Module, batch: Batch, device: torch.device) -> Any:
    """Run the model on a batch."""
    given = {
        name: value.to(device) if isinstance(value, Tensor) else value
        for name, value in batch.arguments.items()
    }
    nameless = [given.pop("")] if "" in given else []
    return model(*nameless, **given)


def run(
    model: nn.Module,
    prepared: Prepared,
    batches: Sequence[Sequence[int]],
    found: Spots,
    layers: Sequence[Gathering],
    *,
    pooling: str,
    special_tokens: bool,
    device: torch.device,
    done: int = 0,
    advance: Advance | None = None,
    look: Look | None = None,
    pause: Pause | None = None,
) -> None:
    """Run the model on all batches but the first `done`, and give each layer its points.

    Raises:
        ValueError: naming an input without a token that counts, or whose hidden states are not finite.
    """
    by_place = {(layer.spot.place, layer.spot.turn): layer for layer in layers}
    turns = dict.fromkeys(range(len(found.places)), 0)
    now: list[tuple[Batch, Sequence[int]]] = []  # the batch that runs

    def see(place: int, states: Any) -> None:
        layer = by_place.get((place, turns[place]))
        turns[place] += 1
        if layer is None or not now:
            return
        batch, numbers = now[0]
        hidden = positions(states, batch.size, found.places[place].module)
        assert hidden is not None  # it was not None in the pass that found the layers
        tokens = tokens_of(batch, layer.spot)
        kept, first = _counted(tokens, hidden.shape[1], numbers, pooling, special_tokens)
        layer.add(*taken(hidden, kept, first, pooling, numbers))
        if look is not None:
            look(layer.spot, hidden, tokens, numbers)

    total = len(prepared.sizes)
    seen = sum(map(len, batches[:done]))
    with Taps(found.places, see):
        for count, numbers in enumerate(batches[done:], start=done + 1):
            turns.update(dict.fromkeys(turns, 0))
            now[:] = [(prepared.batch(numbers), numbers)]
            forward(model, now[0][0], device)
            seen += len(numbers)
            if count % FOLD_EVERY == 0 or count == len(batches):
                for layer in layers:
                    layer.fold()
                if pause is not None and count < len(batches):
                    pause(count)
            if advance is not None:
                advance(seen, total)


def tokens_of(batch: Batch, spot: Spot) -> Tokens | None:
    """Return the tokens that a layer sees: those of the decoder where it is one's, and the batch has them."""
    return batch.decoded if batch.decoded and "decoder" in spot.stack else batch.tokens


def kept_tokens(tokens: Tokens, special_tokens: bool) -> Tensor:
    """Return which tokens count, (batch, tokens) bool: never padding, special ones where asked for."""
    return tokens.real if special_tokens else tokens.real & ~tokens.special


def _counted(
    tokens: Tokens | None, length: int, numbers: Sequence[int], pooling: str, special_tokens: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Return which positions count, and the first real one; None where a layer has positions of its own."""
    if tokens is None or tokens.real.shape[1] != length:
        return None, None
    kept = kept_tokens(tokens, special_tokens)
    if pooling in ("mean", "first", "last"):
        empty = (~kept.any(dim=1)).nonzero()
        if len(empty):
            raise ValueError(
                f"input {numbers[int(empty[0])]} (counted from 0) has no token besides padding and special "
                "ones; leave it out, or let special tokens count (--special-tokens)"
            )
    return kept, first_of(tokens.real)
