"""Which hidden states a forward pass shows, found by one forward pass: what runs, in which order, how often.

Configurations do not tell whether a normalization stands behind the last block, which towers of a model run
for an input, or that one block runs twelve times. A pass over a single input does.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from conescope.capture.hidden_states import Place, Taps
from conescope.capture.stacks import Stack
from conescope.results.profile import Kind


class Spot(NamedTuple):
    """A layer: `depth` in its stack, and where it passes: at which place, at the how manieth time."""

    stack: str
    depth: int
    module: str
    kind: Kind
    place: int
    turn: int
    d: int


class Spots(NamedTuple):
    """The places to tap, and the layers that pass there."""

    places: tuple[Place, ...]
    layers: tuple[Spot, ...]


def positions(states: Any, size: int, module: nn.Module | None = None) -> Tensor | None:
    """Return hidden states as (batch, tokens, d), or None for what is no such thing.

    Pictures of features (batch, d, height, width) have a token a pixel, vectors (batch, d) one token. What
    returns packed sequences, or time first, is put in order.
    """
    if isinstance(states, nn.utils.rnn.PackedSequence):
        states, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
    elif getattr(module, "batch_first", None) is False and isinstance(states, Tensor) and states.ndim == 3:
        states = states.transpose(0, 1)
    if not isinstance(states, Tensor) or not states.is_floating_point():
        return None
    if states.ndim == 2:
        states = states[:, None]
    elif isinstance(module, nn.Conv1d) and states.ndim == 3:
        states = states.transpose(1, 2)
    elif states.ndim >= 4:
        states = states.flatten(2).transpose(1, 2)
    return states if states.ndim == 3 and len(states) == size else None


def spots(stacks: Sequence[Stack], run: Callable[[], Any], size: int) -> Spots:
    """Return the layers that one forward pass over `size` inputs shows.

    Stacks that do not run are left out, and so is what goes into a first block if it is no hidden state.
    A stack ends with what its surroundings return, where they return hidden states of the same shape
    that differ from those of the last block: behind a normalization.

    Raises:
        ValueError: if no stack runs, or what its blocks return are no hidden states.
    """
    places, owners = _places(stacks)
    seen: list[tuple[int, int, Tensor]] = []  # place, turn, hidden states
    turns = dict.fromkeys(range(len(places)), 0)

    def see(place: int, states: Any) -> None:
        found = positions(states, size, places[place].module)
        if found is not None:
            seen.append((place, turns[place], found))
        turns[place] += 1

    with Taps(places, see), torch.no_grad():
        run()
    layers: list[Spot] = []
    for stack in stacks:
        layers += _of_stack(stack, places, owners, seen)
    if not layers:
        names = ", ".join(name for stack in stacks for name in stack.names[:2])
        raise ValueError(
            f"no block of {names}, ... returned hidden states of shape (batch, tokens, d) for these "
            "inputs; name others with --blocks"
        )
    return only(Spots(tuple(places), tuple(layers)), layers)


def chosen_layers(found: Spots, layers: Sequence[int]) -> Spots:
    """Return the layers of these depths, of every stack that has them; negative ones count from its end.

    Raises:
        ValueError: naming the depths there are, if no stack has one of them.
    """
    by_stack: dict[str, list[Spot]] = {}
    for spot in found.layers:
        by_stack.setdefault(spot.stack, []).append(spot)
    kept: set[Spot] = set()
    for layer in layers:
        hits = {spot for mine in by_stack.values() for spot in mine if spot.depth == layer}
        hits |= {mine[layer] for mine in by_stack.values() if -len(mine) <= layer < 0}
        if not hits:
            depths = "; ".join(
                f"{f'{stack}: ' if stack else ''}{', '.join(str(spot.depth) for spot in mine)}"
                for stack, mine in by_stack.items()
            )
            raise ValueError(f"there is no layer {layer}; there are {depths}, or -1, -2, ... from the end")
        kept |= hits
    return only(found, [spot for spot in found.layers if spot in kept])


def only(found: Spots, layers: Sequence[Spot]) -> Spots:
    """Return some of the layers that were found, and the places where they pass."""
    used = sorted({spot.place for spot in layers})
    return Spots(
        tuple(found.places[place] for place in used),
        tuple(spot._replace(place=used.index(spot.place)) for spot in layers),
    )


def _places(stacks: Sequence[Stack]) -> tuple[list[Place], list[tuple[Stack, Kind, str]]]:
    places: list[Place] = []
    owners: list[tuple[Stack, Kind, str]] = []
    for stack in stacks:
        places.append(Place(stack.blocks[0], before=True))
        owners.append((stack, "input", stack.names[0]))
        for block, name in zip(stack.blocks, stack.names, strict=True):
            places.append(Place(block, before=False))
            owners.append((stack, "block", name))
        for end in stack.ends:
            places.append(Place(end, before=False))
            owners.append((stack, "final", type(end).__name__))
    return places, owners


def _of_stack(
    stack: Stack,
    places: Sequence[Place],
    owners: Sequence[tuple[Stack, Kind, str]],
    seen: Sequence[tuple[int, int, Tensor]],
) -> list[Spot]:
    mine = [(place, turn, states) for place, turn, states in seen if owners[place][0] is stack]
    first = [entry for entry in mine if owners[entry[0]][1] == "input"][:1]
    blocks = [entry for entry in mine if owners[entry[0]][1] == "block"]
    if not blocks:
        return []
    last = blocks[-1][2]
    ends = [entry for entry in mine if owners[entry[0]][1] == "final" and entry[1] == 0]
    ends = [entry for entry in ends if entry[2].shape == last.shape and not torch.equal(entry[2], last)]
    layers = []
    for depth, (place, turn, states) in enumerate([*first, *blocks, *ends[-1:]], start=1 - len(first)):
        _, kind, name = owners[place]
        again = f" (pass {turn + 1})" if turn else ""
        layers.append(Spot(stack.name, depth, name + again, kind, place, turn, states.shape[2]))
    return layers
