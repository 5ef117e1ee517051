"""Shards -> state, in one pass that can be interrupted and goes on where it was.

Every few seconds the state is written to its file, and beside it that of the shard which is being read,
with the row it has come to. The same call again reads on from there. A shard that can not be read is named
and left out as a whole; the others count.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from conescope.scale.block import Block
from conescope.scale.moments import Precision
from conescope.scale.moments import merge as merge_moments
from conescope.scale.sample import FINGERPRINT_ROWS, Sample, bound, fingerprint
from conescope.scale.sample import merge as merge_samples
from conescope.scale.shards import Shard
from conescope.scale.state import ShardRecord, State, load_parts, merge, numbered, save, state_of

CHECKPOINT_SECONDS = 20.0
_CHANGED = "{} has changed since it was scanned; begin a new state file"
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
    sample: int = 2048,
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
        ValueError: if the file was made with other settings, a shard has changed since it was read, or two
            shards have one name.
    """
    _check_names(shards)
    shapes = _shapes(shards)
    how = _How(labels, order, precision or _precision(shapes), sample, seed)
    store = _Store(path, how.settings())
    work = _Work(how, *store.load())
    counts = [count for count, _ in shapes if count is not None]
    rows, total = 0, sum(counts) if len(counts) == len(shapes) else None
    try:
        for shard in work.in_order(shards):
            for count in work.through(shard):
                rows += count
                store.save_if_due(work)
                if advance is not None:
                    advance(rows, total, shard.name)
    except (KeyboardInterrupt, SystemExit):
        store.save(work)
        raise
    store.save(work)
    return Scanned(work.state, work.failed)


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


@dataclass(frozen=True)
class _Part:
    """A shard that is being read. Samples wait until there are enough of them to be worth a merge."""

    record: ShardRecord
    state: State | None = None
    waiting: tuple[Sample, ...] = ()

    def extended(self, piece: State) -> "_Part":
        """Return the part with the next rows, whose classes are numbered as in those before."""
        record = replace(self.record, rows=self.record.rows + piece.n)
        if self.state is None:
            return _Part(record, piece)
        together = merge_moments(self.state.moments, piece.moments)
        state = replace(self.state, moments=together, classes=piece.classes)
        longer = _Part(record, state, (*self.waiting, piece.sample))
        if sum(map(len, longer.waiting)) <= 2 * len(state.sample):
            return longer
        return _Part(record, longer.whole())

    def whole(self) -> State | None:
        """Return the state of the rows read."""
        if self.state is None:
            return None
        sample = merge_samples(self.state.sample, *self.waiting)
        return replace(self.state, sample=sample, shards=(self.record,))


class _Changed(ValueError):
    """A shard is not what it was when it was counted."""


class _Work:
    """What was read so far: the state of all shards that were read to their ends, and a part of another."""

    def __init__(self, how: _How, state: State | None, part: _Part | None) -> None:
        self.how = how
        self.state = state
        self.part = part
        self.failed: dict[str, str] = {}

    def in_order(self, shards: Sequence[Shard]) -> list[Shard]:
        """Return the shards, first the one that was begun; what was read of another is dropped."""
        begun = self.part.record.name if self.part is not None else None
        if begun not in {shard.name for shard in shards}:
            self.part = None
        return sorted(shards, key=lambda shard: shard.name != begun)

    def through(self, shard: Shard) -> Iterator[int]:
        """Read a shard to its end, unless it was; yield after each block how many rows came with it."""
        counted = [record for record in _records(self.state) if record.name == shard.name]
        if counted:
            yield _unchanged(shard, counted)
            return
        try:
            part = self._begun(shard)
            if part.record.rows:
                yield part.record.rows
            for block in shard.blocks(part.record.rows):
                self.part = part = part.extended(self._piece(block, part))
                yield len(block.points)
            found = replace(part, record=replace(part.record, complete=True)).whole()
            if found is None:
                raise ValueError(f"{shard.name} lost its points while it was read")
            self.state = found if self.state is None else merge(self.state, found)
        except _Changed:
            raise
        except (ValueError, OSError) as problem:
            self.failed[shard.name] = str(problem)
        self.part = None

    def _begun(self, shard: Shard) -> _Part:
        """Return what was read of a shard, which may be nothing yet."""
        record, head = _head(shard)
        if self.part is not None:
            if record.fingerprint != self.part.record.fingerprint:
                raise _Changed(_CHANGED.format(shard.name))
            return replace(self.part, record=replace(self.part.record, size=record.size))
        d = head.points.shape[1]
        if self.state is not None and d != self.state.d:
            raise ValueError(
                f"{shard.name} holds points of {d} dimensions, and those before of {self.state.d}"
            )
        if self.how.labels and head.labels is None:
            raise ValueError(f"{shard.name} has no labels; say where they are when opening it")
        return _Part(record)

    def _piece(self, block: Block, part: _Part) -> State:
        """Return the state of one block; its classes are numbered as in those before."""
        numbers = names = None
        if self.how.labels and block.labels is not None:
            numbers, names = numbered(block.labels, (part.state and part.state.classes) or ())
        samples = [some.sample for some in (self.state, part.state) if some is not None]
        samples += part.waiting
        return state_of(
            block.points,
            numbers,
            names,
            order=self.how.order,
            precision=self.how.precision,
            capacity=self.how.sample,
            seed=self.how.seed,
            shard=part.record.fingerprint,
            first=part.record.rows,
            below=bound(samples),
        )


class _Store:
    """The file of a scan, if it has one."""

    def __init__(self, path: str | os.PathLike[str] | None, settings: dict[str, object]) -> None:
        self.path = None if path is None else Path(path)
        self.settings = settings
        self.saved = time.monotonic()

    def load(self) -> tuple[State | None, _Part | None]:
        if self.path is None or not self.path.exists():
            return None, None
        state, unfinished, notes = load_parts(self.path)
        if notes.get("settings") != self.settings:
            raise ValueError(
                f"{self.path} was made with {_described(notes.get('settings'))}, and this scan has "
                f"{_described(self.settings)}; give the same settings, or another file"
            )
        return state, None if unfinished is None else _Part(unfinished.shards[0], unfinished)

    def save(self, work: _Work) -> None:
        """Write what was read; a file that holds nothing but a shard that failed is taken away."""
        if self.path is None:
            return
        unfinished = None if work.part is None else work.part.whole()
        if work.state is not None or unfinished is not None:
            save(work.state, self.path, {"settings": self.settings}, unfinished=unfinished)
        else:
            self.path.unlink(missing_ok=True)
        self.saved = time.monotonic()

    def save_if_due(self, work: _Work) -> None:
        if self.path is not None and time.monotonic() - self.saved > CHECKPOINT_SECONDS:
            self.save(work)


def _head(shard: Shard) -> tuple[ShardRecord, Block]:
    """Return the record of a shard of which nothing was read, and its first rows."""
    head = next(shard.blocks(0, FINGERPRINT_ROWS), None)
    if head is None:
        raise ValueError(f"{shard.name} holds no points")
    size = shard.path.stat().st_size if shard.memory is None and shard.shape()[0] is None else None
    return ShardRecord(shard.name, fingerprint(head.points), rows=0, complete=False, size=size), head


def _unchanged(shard: Shard, counted: Sequence[ShardRecord]) -> int:
    """Return the rows of a shard that is counted, which must be what it was."""
    try:
        (now, _), (rows, _) = _head(shard), shard.shape()
    except (ValueError, OSError) as problem:
        raise _Changed(
            f"{shard.name} was scanned, and can not be read any more: {problem}; leave it out, since its "
            "points are counted, or begin a new state file"
        ) from None
    for record in counted:
        if (record.fingerprint, record.size) == (now.fingerprint, now.size) and rows in (None, record.rows):
            return record.rows
    raise _Changed(_CHANGED.format(shard.name))


def _records(state: State | None) -> tuple[ShardRecord, ...]:
    return () if state is None else state.shards


def _check_names(shards: Sequence[Shard]) -> None:
    names = [shard.name for shard in shards]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"every shard needs a name of its own, but {names.count(twice[0])} are {twice[0]!r}")


def _shapes(shards: Sequence[Shard]) -> list[tuple[int | None, int]]:
    """Return rows, if known, and dimensions of the shards that can be read."""
    shapes = []
    for shard in shards:
        with suppress(ValueError, OSError):  # told when it is read
            shapes.append(shard.shape())
    return shapes


def _precision(shapes: Sequence[tuple[int | None, int]]) -> Precision:
    return "double" if sum((rows or 0) * d * d for rows, d in shapes) <= DOUBLE_WORK else "single"


def _described(settings: Mapping[str, object] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (settings or {}).items()) or "no settings"
