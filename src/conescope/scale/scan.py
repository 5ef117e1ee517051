"""Shards -> state, in one pass that can be interrupted and goes on where it was.

Every few seconds the state is written to its file with the row it has come to. The same call again reads
on from there. A shard that can not be read is named and left out as a whole; the others count.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from conescope.scale.block import Block
from conescope.scale.moments import Precision
from conescope.scale.sample import FINGERPRINT_ROWS, fingerprint
from conescope.scale.shards import Shard
from conescope.scale.state import ShardRecord, State, load, merge, numbered, save, state_of

CHECKPOINT_SECONDS = 20.0
DOUBLE_WORK = 1 << 34  # multiplications for a scatter in double that take well under a second

Advance = Callable[[int, int | None, str], None]  # rows read, rows there are (None: not known), shard


class Scanned(NamedTuple):
    """What could be read, and why the rest could not: shard -> message."""

    state: State | None
    failed: dict[str, str]


def scan(
    shards: Sequence[Shard],
    *,
    labels: bool = False,
    order: Literal[1, 2] = 2,
    precision: Precision | None = None,
    sample: int = 4096,
    seed: int = 0,
    path: str | os.PathLike[str] | None = None,
    advance: Advance | None = None,
) -> Scanned:
    """Return the state of all points of some shards.

    Args:
        shards: from `open_shards`.
        labels: whether the shards carry labels, to keep moments of classes.
        order: 1 for means, norms and directions only, which costs n d instead of n d^2.
        precision: of the products; None takes double where that takes no time, and single for more.
        sample: how many points to draw for what looks at pairs.
        seed: of that draw.
        path: file in which the state is kept; if it is there already, the scan goes on from it, and shards
            that it holds are not read again.
        advance: called after every block.

    Raises:
        ValueError: if the file was made with other settings, or a shard has changed since it was read.
    """
    how = _How(labels, order, precision or _precision(shards), sample, seed)
    store = _Store(path, how.settings())
    state, total, rows = store.load(), _total(shards), 0
    failed: dict[str, str] = {}
    for shard in shards:
        before = state
        try:
            for state, count in _read(shard, state, how):  # noqa: B020 (each step goes on from the last)
                rows += count
                store.save_if_due(state)
                if advance is not None:
                    advance(rows, total, shard.name)
        except (ValueError, OSError) as problem:
            failed[shard.name], state = str(problem), before
        except KeyboardInterrupt:
            store.save(state)
            raise
    store.save(state)
    return Scanned(state, failed)


@dataclass(frozen=True)
class _How:
    """How points are to be read: the same for all shards of a state."""

    labels: bool
    order: Literal[1, 2]
    precision: Precision
    sample: int
    seed: int

    def settings(self) -> dict[str, object]:
        """Return what must agree for a scan to go on from a state."""
        return {"labels": self.labels, "order": self.order, "sample": self.sample, "seed": self.seed}


class _Store:
    """The file of a scan, if it has one."""

    def __init__(self, path: str | os.PathLike[str] | None, settings: dict[str, object]) -> None:
        self.path = None if path is None else Path(path)
        self.settings = settings
        self.saved = time.monotonic()

    def load(self) -> State | None:
        if self.path is None or not self.path.exists():
            return None
        state, notes = load(self.path)
        if notes.get("settings") != self.settings:
            raise ValueError(
                f"{self.path} was made with {_described(notes.get('settings'))}, and this scan has "
                f"{_described(self.settings)}; give the same settings, or another file"
            )
        return state

    def save(self, state: State | None) -> None:
        if self.path is not None and state is not None:
            save(state, self.path, {"settings": self.settings})
            self.saved = time.monotonic()

    def save_if_due(self, state: State) -> None:
        if time.monotonic() - self.saved > CHECKPOINT_SECONDS:
            self.save(state)


def _read(shard: Shard, state: State | None, how: _How) -> Iterator[tuple[State, int]]:
    """Yield the state after each block of a shard that was not read yet, and how many rows came with it."""
    head = next(shard.blocks(0, FINGERPRINT_ROWS), None)
    if head is None:
        raise ValueError(f"{shard.name} holds no points")
    done = _progress(state, shard, fingerprint(head.points))
    if done.rows and state is not None:
        yield state, done.rows
    if done.complete:
        return
    for block in shard.blocks(done.rows):
        part = _part(block, state, done, how)
        done = replace(done, rows=done.rows + len(block.points))
        state = _recorded(part if state is None else merge(state, part), done)
        yield state, len(block.points)
    if state is not None:
        yield _recorded(state, replace(done, complete=True)), 0


def _precision(shards: Sequence[Shard]) -> Precision:
    work = 0
    for shard in shards:
        try:
            rows, d = shard.shape()
        except (ValueError, OSError):  # told when it is read
            continue
        work += (rows or 0) * d * d
    return "double" if work <= DOUBLE_WORK else "single"


def _total(shards: Sequence[Shard]) -> int | None:
    total = 0
    for shard in shards:
        try:
            rows, _ = shard.shape()
        except (ValueError, OSError):
            continue
        if rows is None:
            return None
        total += rows
    return total


def _progress(state: State | None, shard: Shard, mark: int) -> ShardRecord:
    """Return how far this shard was read: not at all, in part, or to its end."""
    for record in state.shards if state is not None else ():
        if record.name != shard.name:
            continue
        if record.fingerprint != mark:
            raise ValueError(f"{shard.name} has changed since it was scanned; begin a new state file")
        return record
    return ShardRecord(shard.name, mark, rows=0, complete=False)


def _part(block: Block, state: State | None, done: ShardRecord, how: _How) -> State:
    """Return the state of one block; its classes are numbered as in the state so far."""
    numbers = names = None
    if how.labels and block.labels is not None:
        numbers, names = numbered(block.labels, () if state is None else state.classes or ())
    full = state is not None and len(state.sample) == how.sample
    return state_of(
        block.points,
        numbers,
        names,
        order=how.order,
        precision=how.precision,
        capacity=how.sample,
        seed=how.seed,
        shard=done.fingerprint,
        first=done.rows,
        below=state.sample.keys[-1] if full and state is not None else None,
    )


def _recorded(state: State, record: ShardRecord) -> State:
    others = tuple(other for other in state.shards if other.name != record.name)
    return replace(state, shards=(*others, record))


def _described(settings: Mapping[str, object] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (settings or {}).items()) or "no settings"
