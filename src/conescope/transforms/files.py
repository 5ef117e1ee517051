"""Fixes of points in files: fitted on a stream of blocks, applied block by block to a mapped array."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from conescope._check import check_finite
from conescope._files import whole_file
from conescope.scale.block import Block, joined
from conescope.scale.shards import Shard
from conescope.transforms.affine import AffineFix
from conescope.transforms.fix import Fix

Advance = Callable[[int, int | None, str], None]  # rows read, rows there are (None: not known), shard
AnyFix = TypeVar("AnyFix", bound=Fix)


class Written(NamedTuple):
    """What was written: a path, its rows and dimensions, and the type of its numbers."""

    path: Path
    rows: int
    d: int
    dtype: str


def fit_files(fix: AnyFix, shards: Sequence[Shard], *, advance: Advance | None = None) -> AnyFix:
    """Return the fix, fitted to all points of some files, which `conescope.scale.open_shards` opens.

    Only clusters need all points in memory at once; the other fixes take blocks.

    Raises:
        ValueError: for a file that can not be read, and as the fix itself.
    """
    blocks = _blocks(shards, advance)
    if isinstance(fix, AffineFix):
        return fix.fit_blocks(map(_array, blocks))
    fix.fit(_array(joined(list(blocks))))
    return fix


def apply_to_files(
    fix: Fix, shards: Sequence[Shard], output: str | Path, *, advance: Advance | None = None
) -> Written:
    """Write the fixed points of some files to one npy file, in the order of the files.

    The file is written whole or not at all, a block at a time. float64 points stay float64; all others are
    written as float32. Where a format does not tell its rows, they are counted first.

    Raises:
        ValueError: if the output is one of the files, or not .npy; for a file that can not be read or is of
            another number of dimensions than the fix.
    """
    output = Path(output)
    if output.suffix != ".npy":
        raise ValueError(f"fixed points are written to a file that ends in .npy, got {output}")
    if output.exists() and any(shard.path.resolve() == output.resolve() for shard in shards):
        raise ValueError(f"{output} is one of the files that are read; write to another file")
    rows = sum(_rows(shard) for shard in shards)
    dtype, d = _outcome(fix, shards)
    with whole_file(output) as temporary:
        target = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=(rows, d))
        end = 0
        for block in _blocks(shards, advance):
            start, end = end, end + len(block.points)
            if end > rows:
                break
            target[start:end] = fix.transform(_array(block))
        if end != rows:
            raise ValueError(f"the files held {rows} points when they were counted, and not now; try again")
        target.flush()
        del target
    return Written(output, rows, d, str(dtype))


def _outcome(fix: Fix, shards: Sequence[Shard]) -> tuple["np.dtype[Any]", int]:
    """Return the type and the dimensions of the fixed points, from the first row of each file."""
    heads = [fix.transform(_array(next(shard.blocks(rows=1)))) for shard in shards]
    return np.result_type(*heads), heads[0].shape[1]


def _rows(shard: Shard) -> int:
    rows, _ = shard.shape()
    return sum(len(block.points) for block in shard.blocks()) if rows is None else rows


def _blocks(shards: Sequence[Shard], advance: Advance | None) -> Iterator[Block]:
    counts = [shard.shape()[0] for shard in shards]
    total = None if None in counts else sum(count or 0 for count in counts)
    read = 0
    for shard in shards:
        first = 0
        for block in shard.blocks():
            try:
                check_finite(block.points, first=first)
            except ValueError as problem:
                raise ValueError(f"{shard.name}: {problem}") from None
            yield block
            first += len(block.points)
            read += len(block.points)
            if advance is not None:
                advance(read, total, shard.name)


def _array(block: Block) -> NDArray[Any]:
    points = block.points
    return (points if points.dtype == torch.float64 else points.float()).numpy()
