"""A uniform sample of points that can be drawn in parts, merged in any order, and come out the same.

Every point has a key: a 64-bit hash of the seed, of the shard it stands in, and of its row there. (Key i
of a shard is output i of the generator splitmix64, seeded by a hash of the first two.) The sample holds the
points with the smallest keys (bottom-k). Keys do not depend on what else is read, so the sample of a union
is the bottom-k of the samples, whoever reads which part, and in which order.

The shard enters by a fingerprint of its first rows, not by its name: moving or renaming files changes
nothing.

Reference: Cohen and Kaplan (2007), Summarizing data using bottom-k sketches.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from conescope._types import Labels, Points

FINGERPRINT_ROWS = 64
ODD = np.uint64(0x9E3779B97F4A7C15)  # steps of splitmix64 (Steele, Lea, Flood 2014)
ROUNDS = (  # its shifts and multipliers
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
LAST = np.uint64(31)
Rows: TypeAlias = Float[Tensor, "_ d"]


@dataclass(frozen=True)
class Sample:
    """The points with the smallest keys, smallest first, and where they come from."""

    capacity: int
    seed: int
    points: Points
    keys: NDArray[np.uint64]
    rows: Int64[Tensor, " m"]  # row within the shard
    labels: Labels | None

    def __len__(self) -> int:
        return len(self.points)


def fingerprint(points: Points) -> int:
    """Return a 64-bit hash of the values of the first rows of a shard, whatever type they are stored in."""
    first = points[:FINGERPRINT_ROWS].detach().double().cpu().contiguous().numpy()
    return int.from_bytes(hashlib.blake2b(first.tobytes(), digest_size=8).digest(), "little")


def draw(
    points: Points,
    labels: Labels | None = None,
    *,
    capacity: int,
    seed: int = 0,
    shard: int = 0,
    first: int = 0,
    below: np.uint64 | None = None,
) -> Sample:
    """Return the sample of consecutive rows, the first of which is row `first` of the shard.

    With `below`, the largest key of a full sample, points that could not enter that one are left out.

    Raises:
        ValueError: if the capacity is less than 2.
    """
    if capacity < 2:
        raise ValueError(f"a sample holds at least 2 points, got {capacity}")
    rows = np.arange(first, first + len(points), dtype=np.uint64)
    steps = rows * ODD
    keys = _mixed(np.add(steps, _mixed(_mixed(_word(seed)) ^ _word(shard)), out=steps))
    chosen = np.arange(len(keys)) if below is None else np.flatnonzero(keys <= below)
    if len(chosen) > capacity:
        chosen = chosen[np.argpartition(keys[chosen], capacity - 1)[:capacity]]
    chosen = chosen[np.argsort(keys[chosen])]
    index = torch.from_numpy(chosen).to(points.device)
    return Sample(
        capacity=capacity,
        seed=seed,
        points=points.detach()[index],
        keys=keys[chosen],
        rows=torch.from_numpy(rows[chosen].astype(np.int64)),
        labels=None if labels is None else labels[index],
    )


def merge(one: Sample, *others: Sample) -> Sample:
    """Return the sample of all parts, in whatever order they come.

    Raises:
        ValueError: if their seeds, capacities or dimensions differ, or only some have labels.
    """
    parts = (one, *others)
    settings = [(part.capacity, part.seed, part.points.shape[1]) for part in parts]
    for setting in settings[1:]:
        if setting != settings[0]:
            described = " and ".join(
                "capacity {}, seed {}, d = {}".format(*some) for some in (settings[0], setting)
            )
            raise ValueError(f"samples must be drawn alike to be merged, got {described}")
    labels = [part.labels for part in parts if part.labels is not None]
    if 0 < len(labels) < len(parts):
        raise ValueError("samples with and without labels can not be merged")
    keys = np.concatenate([part.keys for part in parts])
    chosen = _smallest(keys, [part.points for part in parts], one.capacity)
    index = torch.from_numpy(chosen)
    return Sample(
        capacity=one.capacity,
        seed=one.seed,
        points=_taken([part.points for part in parts], index),
        keys=keys[chosen],
        rows=torch.cat([part.rows for part in parts])[index],
        labels=torch.cat(labels)[index.to(labels[0].device)] if labels else None,
    )


def bound(parts: Sequence[Sample]) -> np.uint64 | None:
    """Return the largest key of the sample of all parts, without drawing it; None if it would not be full."""
    keys = np.concatenate([np.empty(0, dtype=np.uint64), *(part.keys for part in parts)])
    if not parts or len(keys) < parts[0].capacity:
        return None
    largest: np.uint64 = np.partition(keys, parts[0].capacity - 1)[parts[0].capacity - 1]
    return largest


def _smallest(keys: NDArray[np.uint64], parts: Sequence[Rows], count: int) -> NDArray[np.int64]:
    """Return where the smallest keys are, smallest first. Equal ones go by the values of their points.

    Keys are equal where two shards begin with the same rows, and so have one fingerprint.
    """
    order = np.argsort(keys, kind="stable")
    tied = keys[order][1:] == keys[order][:-1]
    if tied.any():
        values = np.zeros(len(keys), dtype=np.uint64)
        for at in np.union1d(order[1:][tied], order[:-1][tied]).tolist():
            values[at] = fingerprint(_taken(parts, torch.tensor([at])))
        order = np.lexsort((values, keys))
    return order[:count]


def _taken(parts: Sequence[Rows], index: Int64[Tensor, " m"]) -> Float[Tensor, "m d"]:
    """Return some rows of all parts, one after the other, without joining the parts."""
    dtype = reduce(torch.promote_types, [part.dtype for part in parts])
    taken = parts[0].new_empty(len(index), parts[0].shape[1], dtype=dtype)
    first = 0
    for part in parts:
        here = (index >= first) & (index < first + len(part))
        taken[here.to(taken.device)] = part[(index[here] - first).to(part.device)].to(taken)
        first += len(part)
    return taken


def _word(number: int) -> NDArray[np.uint64]:
    return np.array([number % 2**64], dtype=np.uint64)


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the finalizer of splitmix64 of each number: a bijection that scatters neighbors."""
    numbers = numbers + ODD
    shifted = np.empty_like(numbers)  # new memory for each step costs three times what the steps do
    for bits, factor in ROUNDS:
        numbers ^= np.right_shift(numbers, bits, out=shifted)
        numbers *= factor
    numbers ^= np.right_shift(numbers, LAST, out=shifted)
    return numbers
