"""Blocks of a model that are given noise with a common bias, and what goes in and out of their parts."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from conescope.capture import Batch, Place, Stack, Taps, positions
from conescope.capture.example import repeated
from conescope.capture.feeding import fed
from conescope.capture.parts import Part, parts
from conescope.profile.pair_cosines import PairCosines, pair_cosines, unit_sums
from conescope.profile.running import forward
from conescope.results.bias_drift import PartName

POSITIONS_AT_ONCE = 4096  # tokens of one forward pass


class Site(NamedTuple):
    """A part of a block that runs: `block` counts over all stacks."""

    block: int
    part: PartName
    entry: nn.Module
    exit: nn.Module
    name: str


class Passed(NamedTuple):
    """The cosines of one part, seed and bias."""

    before: PairCosines
    after: PairCosines


class Experiment:
    """A model whose blocks are fed; `shapes` are the tokens and d of each block that runs."""

    def __init__(
        self, model: nn.Module, found: Sequence[Stack], example: Mapping[str, Any], device: torch.device
    ) -> None:
        self.model, self.example, self.device = model, example, device
        members = [
            (stack.name, depth, name, block)
            for stack in found
            for depth, (name, block) in enumerate(zip(stack.names, stack.blocks, strict=True), start=1)
        ]
        self.blocks = [block for *_, block in members]
        self.names = [(stack, depth, name) for stack, depth, name, _ in members]
        self.shapes: dict[int, tuple[int, int]] = {}
        with fed(self.blocks, self._learn):
            self._forward(1)
        if not self.shapes:
            raise ValueError(
                f"no block of {', '.join(name for _, _, name in self.names[:2])}, ... ran on this example; "
                "pass another one, or name other blocks with --blocks"
            )
        self.sites = self._running([site for number in self.shapes for site in self._sites(number)])

    def run(self, seed: int, length: float, sequences: int) -> list[Passed]:
        """Return the cosines of each site for one draw of noise and bias."""
        tokens = {number: self.shapes[number][0] for number in self.shapes}
        size = max(1, min(sequences, POSITIONS_AT_ONCE // max(tokens.values())))
        generator = torch.Generator().manual_seed(seed)
        biases = {d: _direction(d, generator) * length * math.sqrt(d) for d in self._widths()}
        sums: dict[tuple[int, bool], list[Tensor]] = {}
        for start in range(0, sequences, size):
            count = min(size, sequences - start)
            noise = {
                shape: torch.randn(count, *shape, generator=generator) + biases[shape[1]]
                for shape in sorted(set(self.shapes.values()))
            }
            for key, found in self._seen(noise, count).items():
                sums.setdefault(key, []).append(found)

        def cosines(site: int, after: bool) -> PairCosines:
            return pair_cosines(torch.cat(sums[site, after]), tokens[self.sites[site].block])

        return [Passed(cosines(site, False), cosines(site, True)) for site in range(len(self.sites))]

    def _seen(self, noise: Mapping[tuple[int, int], Tensor], count: int) -> dict[tuple[int, bool], Tensor]:
        """Run once, every block on its noise; return the unit sums of what goes in and out of the sites."""
        seen: dict[tuple[int, bool], Tensor] = {}
        given: set[int] = set()

        def keep(site: int, after: bool, states: Any, module: nn.Module) -> None:
            if (site, after) in seen:  # a block that runs again
                return
            tokens = self.shapes[self.sites[site].block][0]
            shaped = _shaped(states, count, tokens, module)
            if shaped is None:
                raise ValueError(
                    f"{self.sites[site].name} shows no hidden states of shape (batch, tokens, d) for "
                    f"{count} inputs of {tokens} tokens; name other blocks with --blocks"
                )
            seen[site, after] = unit_sums(shaped)

        def feed(number: int, states: Tensor) -> Tensor | None:
            if number not in self.shapes:
                return None
            given.add(number)
            new = noise[self.shapes[number]].to(states)
            return new.transpose(0, 1) if _time_first(self.blocks[number]) else new

        def look(site: int, states: Tensor) -> None:
            keep(site, False, states, self.sites[site].entry)

        exits = [Place(site.exit, before=False) for site in self.sites]
        # Blocks are fed first: hooks run in the order in which they were put there.
        with (
            fed(self.blocks, feed),
            fed([site.entry for site in self.sites], look),
            Taps(exits, lambda site, states: keep(site, True, states, exits[site].module)),
        ):
            self._forward(count)
        return seen

    def _forward(self, count: int) -> None:
        forward(self.model, Batch(repeated(self.example, count), count), self.device)

    def _learn(self, number: int, states: Tensor) -> None:
        shaped = positions(states, 1, self.blocks[number])
        if shaped is None or states.ndim != 3:
            raise ValueError(
                f"{self.names[number][2]} is given a tensor of shape {tuple(states.shape)}, not hidden "
                "states (batch, tokens, d); name other blocks with --blocks"
            )
        self.shapes.setdefault(number, (shaped.shape[1], shaped.shape[2]))

    def _sites(self, number: int) -> list[Site]:
        block, name = self.blocks[number], self.names[number][2]
        found = parts(block)
        kinds: list[tuple[PartName, Part | None]] = [
            ("block", Part(block, block, "")),
            ("attention", found.attention),
            ("mlp", found.mlp),
        ]
        return [
            Site(number, kind, part.entry, part.exit, f"{name}.{part.name}".rstrip("."))
            for kind, part in kinds
            if part is not None
        ]

    def _running(self, sites: Sequence[Site]) -> list[Site]:
        """Leave out parts that do not run, or whose modules are called in some other way."""
        ran: set[tuple[int, bool]] = set()
        with (
            fed([site.entry for site in sites], lambda site, _: ran.add((site, False))),
            Taps([Place(site.exit, before=False) for site in sites], lambda site, _: ran.add((site, True))),
        ):
            self._forward(1)
        return [site for number, site in enumerate(sites) if {(number, False), (number, True)} <= ran]

    def _widths(self) -> list[int]:
        return sorted({d for _, d in self.shapes.values()})


def _direction(d: int, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(d, generator=generator)
    unit: Tensor = drawn / drawn.norm()
    return unit


def _time_first(module: nn.Module) -> bool:
    return getattr(module, "batch_first", None) is False


def _shaped(states: Any, count: int, tokens: int, module: nn.Module) -> Tensor | None:
    """Return states as (count, tokens, d), also where tokens of all sequences stand in one row of vectors."""
    if isinstance(states, Tensor) and states.ndim == 2 and len(states) == count * tokens:
        return states.reshape(count, tokens, -1)
    found = positions(states, count, module)
    return found if found is not None and found.shape[1] == tokens else None
