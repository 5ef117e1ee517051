"""The state of a scan: what is kept of any number of points, ready to be merged with what others kept.

A state needs no engine. `scan` makes one from files, `merge` joins two, and a distributed engine may
carry them: the measures of a union are those of the merged states. On disk it is one safetensors file:
tensors, and JSON for the rest. Nothing is pickled. The file of a scan that was stopped holds a second state
beside that of all shards read to their ends: that of the shard it was in.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import reduce
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from conescope._files import whole_file
from conescope._optional import require
from conescope._types import Labels, Points
from conescope.scale.moments import ClassMoments, Moments, Precision, moments
from conescope.scale.moments import merge as merge_moments
from conescope.scale.sample import Sample, draw
from conescope.scale.sample import merge as merge_samples

SCHEMA = "conescope.state/1"
SUFFIX = ".state"
Label = int | str


@dataclass(frozen=True)
class ShardRecord:
    """A shard that was read, or its first `rows` rows if it is not complete."""

    name: str
    fingerprint: int
    rows: int
    complete: bool
    size: int | None = None  # bytes of a file that does not tell its rows


@dataclass(frozen=True)
class State:
    """Moments and a sample of points, the names of their classes, and where they were read."""

    moments: Moments
    sample: Sample
    classes: tuple[Label, ...] | None
    shards: tuple[ShardRecord, ...] = ()

    @property
    def n(self) -> int:
        return self.moments.n

    @property
    def d(self) -> int:
        return self.moments.d


def state_of(
    points: Points,
    labels: Labels | None = None,
    classes: tuple[Label, ...] | None = None,
    *,
    order: Literal[1, 2] = 2,
    precision: Precision = "double",
    capacity: int = 2048,
    seed: int = 0,
    shard: int = 0,
    first: int = 0,
    below: np.uint64 | None = None,
) -> State:
    """Return the state of consecutive rows of a shard; see `moments` and `draw` for the options.

    `classes` are the names of the classes that labels number; without names, they are the numbers.
    """
    if labels is not None and classes is None:
        classes = tuple(range(int(labels.max()) + 1))
    count = None if classes is None else len(classes)
    return State(
        moments=moments(points, labels, classes=count, order=order, precision=precision, first=first),
        sample=draw(points, labels, capacity=capacity, seed=seed, shard=shard, first=first, below=below),
        classes=classes,
    )


def merge(one: State, other: State) -> State:
    """Return the state of the points of both; classes of the same name are one class.

    Raises:
        ValueError: if they hold the same shard, or one that was not read to its end, or were made with
            different settings.
    """
    for record in one.shards + other.shards:
        if not record.complete:
            raise ValueError(
                f"{record.name} was read to row {record.rows} only, and counts when it was read to its end; "
                "let its scan go on, and merge then"
            )
    known = {(record.fingerprint, record.rows): record.name for record in one.shards}
    for record in other.shards:
        twin = known.get((record.fingerprint, record.rows))
        if twin is not None:
            raise ValueError(
                f"both hold the same points: {record.name} begins like {twin} and is as long; "
                "every shard may be counted once"
            )
    return joined(one, other)


def joined(one: State, other: State) -> State:
    """Return what `merge` does, also where both hold rows of the same shard."""
    if (one.classes is None) != (other.classes is None):
        raise ValueError("states with and without labels can not be merged: scan both with labels, or none")
    classes = one.classes
    if one.classes is not None and other.classes is not None:
        if len({isinstance(label, str) for label in one.classes + other.classes}) > 1:
            raise ValueError(
                "labels are numbers in one state and text in the other, so that no class would be in both; "
                "scan both with labels of one kind"
            )
        numbers, classes = numbered(other.classes, one.classes)
        other = _renumbered(other, numbers, len(classes))
    return State(
        moments=merge_moments(one.moments, other.moments),
        sample=merge_samples(one.sample, other.sample),
        classes=classes,
        shards=one.shards + other.shards,
    )


def numbered(labels: Sequence[Label], known: tuple[Label, ...] = ()) -> tuple[Labels, tuple[Label, ...]]:
    """Return a class number for each label, in the order in which classes appear, and the names of all."""
    numbers = {label: number for number, label in enumerate(known)}
    found = [numbers.setdefault(label, len(numbers)) for label in labels]
    return torch.tensor(found, dtype=torch.int64), tuple(numbers)


def _renumbered(state: State, index: Labels, count: int) -> State:
    """Return the state with class i numbered index[i]."""
    classes, labels = state.moments.classes, state.sample.labels
    assert classes is not None  # a state with class names has moments and labels of classes
    assert labels is not None

    def moved(values: Tensor) -> Tensor:
        return values.new_zeros(count, *values.shape[1:]).index_copy(0, index, values)

    spread = ClassMoments(**{field.name: moved(getattr(classes, field.name)) for field in fields(classes)})
    return replace(
        state,
        moments=replace(state.moments, classes=spread),
        sample=replace(state.sample, labels=index[labels]),
    )


class Saved(NamedTuple):
    """What a state file holds."""

    state: State | None  # of all shards that were read to their ends
    unfinished: State | None  # of the shard in which a scan was stopped
    notes: dict[str, Any]


def save(
    state: State | None,
    path: str | os.PathLike[str],
    notes: dict[str, Any] | None = None,
    *,
    unfinished: State | None = None,
) -> None:
    """Write a state, whole or not at all. `notes` are kept with it as they are, as JSON."""
    require("safetensors", extra="files")
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    header: dict[str, Any] = {"schema": SCHEMA, "notes": notes or {}}
    for part, some in (("state", state), ("unfinished", unfinished)):
        if some is not None:
            found = _tensors(some)
            header[part] = _plain(some) | {"tensors": sorted(found)}
            tensors |= {f"{part}.{name}": value.detach().cpu().contiguous() for name, value in found.items()}
    with whole_file(Path(path)) as temporary:
        save_file(tensors, temporary, metadata={"conescope": json.dumps(header)})


def load(path: str | os.PathLike[str]) -> tuple[State, dict[str, Any]]:
    """Return the state of all points that were read, also of a scan that was stopped, and the notes.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no state, or was written by a version that this one does not know.
    """
    state, unfinished, notes = load_parts(path)
    parts = [part for part in (state, unfinished) if part is not None]
    return reduce(joined, parts), notes


def load_parts(path: str | os.PathLike[str]) -> Saved:
    """Return what a state file holds; see `load`."""
    require("safetensors", extra="files")
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"there is no file {file}")
    if file.is_dir():
        raise ValueError(f"{file} is not a state, but a folder")
    try:
        with safe_open(file, framework="pt") as content:
            text = (content.metadata() or {}).get("conescope", "{}")
            # copies, since these are views of the file, which a scan is about to replace
            tensors = {name: content.get_tensor(name).clone() for name in content.keys()}  # noqa: SIM118
        header = json.loads(text)
    except (SafetensorError, OSError, json.JSONDecodeError) as broken:
        raise ValueError(f"{file} can not be read as a state: {broken}") from None
    schema = header.get("schema") if isinstance(header, dict) else None
    if schema != SCHEMA:
        found = f"has the schema {schema}" if schema else "is another file of tensors"
        raise ValueError(f"{file} is not a state of this version, {SCHEMA}; it {found}")
    try:
        state, unfinished = (_assembled(header, tensors, part) for part in ("state", "unfinished"))
        notes = header["notes"]
        if state is None and unfinished is None:
            raise KeyError("state")
    except (KeyError, TypeError) as missing:
        raise ValueError(f"{file} is not a whole state: {missing} is missing or wrong") from None
    if state is not None and unfinished is not None and _holds(state, unfinished):
        unfinished = None
    return Saved(state, unfinished, notes)


def _holds(state: State, unfinished: State) -> bool:
    """Return whether a scan was stopped between counting a shard and forgetting that it was in it."""
    known = {(record.name, record.fingerprint) for record in state.shards}
    return any((record.name, record.fingerprint) in known for record in unfinished.shards)


def _tensors(state: State) -> dict[str, Tensor]:
    found, drawn = state.moments, state.sample
    tensors = {
        "mean": found.mean,
        "direction_sum": found.direction_sum,
        "norm_mean": found.norm_mean,
        "norm_scatter": found.norm_scatter,
        "scatter": found.scatter,
        "direction_square_sum": found.direction_square_sum,
        "sample.points": drawn.points,
        "sample.keys": torch.from_numpy(drawn.keys.view(np.int64)),
        "sample.rows": drawn.rows,
        "sample.labels": drawn.labels,
    }
    if found.classes is not None:
        tensors |= {
            f"classes.{field.name}": getattr(found.classes, field.name) for field in fields(ClassMoments)
        }
    return {name: value for name, value in tensors.items() if value is not None}


def _plain(state: State) -> dict[str, Any]:
    found, drawn = state.moments, state.sample
    return {
        "n": found.n,
        "d": found.d,
        "directions": found.directions,
        "norm_range": found.norm_range,
        "resolution": found.resolution,
        "capacity": drawn.capacity,
        "seed": drawn.seed,
        "classes": state.classes,
        "shards": [asdict(record) for record in state.shards],
    }


def _assembled(header: dict[str, Any], all_tensors: dict[str, Tensor], part: str) -> State | None:
    plain = header.get(part)
    if plain is None:
        return None
    tensors = {name: all_tensors[f"{part}.{name}"] for name in plain["tensors"]}
    classes = None
    if plain["classes"] is not None:
        classes = ClassMoments(
            **{field.name: tensors[f"classes.{field.name}"] for field in fields(ClassMoments)}
        )
    return State(
        moments=Moments(
            n=plain["n"],
            d=plain["d"],
            mean=tensors["mean"],
            directions=plain["directions"],
            direction_sum=tensors["direction_sum"],
            norm_mean=tensors["norm_mean"],
            norm_scatter=tensors["norm_scatter"],
            norm_range=(plain["norm_range"][0], plain["norm_range"][1]),
            resolution=plain["resolution"],
            scatter=tensors.get("scatter"),
            direction_square_sum=tensors.get("direction_square_sum"),
            classes=classes,
        ),
        sample=Sample(
            capacity=plain["capacity"],
            seed=plain["seed"],
            points=tensors["sample.points"],
            keys=tensors["sample.keys"].numpy().view(np.uint64),
            rows=tensors["sample.rows"],
            labels=tensors.get("sample.labels"),
        ),
        classes=None if plain["classes"] is None else tuple(plain["classes"]),
        shards=tuple(ShardRecord(**record) for record in plain["shards"]),
    )
