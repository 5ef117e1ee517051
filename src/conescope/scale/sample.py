"""A uniform sample of points that can be drawn in parts, merged in any order, and come out the same.

Every point has a key: a 64-bit hash of the seed, of the shard it stands in, and of its row there. The
sample holds the points with the smallest keys (bottom-k). Keys do not depend on what else is read, so the
sample of a union is the bottom-k of the samples, whoever reads which part, and in which order.

The shard enters by a fingerprint of its first rows, not by its name: moving or renaming files changes
nothing.

Reference: Cohen and Kaplan (2007), Summarizing data using bottom-k sketches.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from conescope._types import Labels, Points

FINGERPRINT_ROWS = 64
ODD = np.uint64(0x9E3779B97F4A7C15)  # steps of splitmix64 (Steele, Lea, Flood 2014) and its two multipliers
MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


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
    """
    if capacity < 2:
        raise ValueError(f"a sample holds at least 2 points, got {capacity}")
    rows = np.arange(first, first + len(points), dtype=np.uint64)
    keys = _mixed(rows * ODD + _mixed(np.array([shard % 2**64, seed % 2**64], dtype=np.uint64)).sum())
    able = np.arange(len(keys)) if below is None else np.flatnonzero(keys < below)
    chosen = able[np.argsort(keys[able], kind="stable")[:capacity]]
    index = torch.from_numpy(chosen).to(points.device)
    return Sample(
        capacity=capacity,
        seed=seed,
        points=points.detach()[index].clone(),
        keys=keys[chosen],
        rows=torch.from_numpy(rows[chosen].astype(np.int64)),
        labels=None if labels is None else labels[index].clone(),
    )


def merge(one: Sample, other: Sample) -> Sample:
    """Return the sample of both parts.

    Raises:
        ValueError: if their seeds, capacities or dimensions differ, or only one has labels.
    """
    settings = [(part.capacity, part.seed, part.points.shape[1]) for part in (one, other)]
    if settings[0] != settings[1]:
        described = " and ".join("capacity {}, seed {}, d = {}".format(*setting) for setting in settings)
        raise ValueError(f"samples must be drawn alike to be merged, got {described}")
    if (one.labels is None) != (other.labels is None):
        raise ValueError("samples with and without labels can not be merged")
    keys = np.concatenate([one.keys, other.keys])
    chosen = np.argsort(keys, kind="stable")[: one.capacity]
    index = torch.from_numpy(chosen)
    dtype = torch.promote_types(one.points.dtype, other.points.dtype)
    points = torch.cat([one.points.to(dtype), other.points.to(dtype)])
    labels = None
    if one.labels is not None and other.labels is not None:
        labels = torch.cat([one.labels, other.labels])[index.to(points.device)]
    return Sample(
        capacity=one.capacity,
        seed=one.seed,
        points=points[index.to(points.device)],
        keys=keys[chosen],
        rows=torch.cat([one.rows, other.rows])[index],
        labels=labels,
    )


def _mixed(numbers: NDArray[Any]) -> NDArray[np.uint64]:
    """Return the finalizer of splitmix64 of each number: a bijection that scatters neighbors."""
    with np.errstate(over="ignore"):
        numbers = numbers + ODD
        numbers = (numbers ^ (numbers >> np.uint64(30))) * MIX[0]
        numbers = (numbers ^ (numbers >> np.uint64(27))) * MIX[1]
        mixed: NDArray[np.uint64] = numbers ^ (numbers >> np.uint64(31))
    return mixed
