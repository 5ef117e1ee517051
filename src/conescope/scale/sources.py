"""Points in files, read at once. Nothing is ever unpickled."""

from collections.abc import Sequence
from typing import NamedTuple

from conescope._types import Points
from conescope.scale.block import Block, LabelList, joined
from conescope.scale.found import Where
from conescope.scale.shards import Shard, open_shards


class LabeledPoints(NamedTuple):
    """One point a row, and one label a point where labels were asked for."""

    points: Points
    labels: LabelList | None = None


def read_points(
    path: Where | Sequence[Where], *, column: str | None = None, labels: Where | None = None
) -> LabeledPoints:
    """Return the points of one or several files, in the floating point type in which they are stored.

    A single npy file is mapped, so that only what is used is read; the map is copy-on-write and never
    changes the file.

    Args:
        path: a file, a folder, a glob pattern, or several of these; `open_shards` says which formats.
        column: which array, tensor or column; not needed where there is only one to choose from.
        labels: the name of a column of integers or strings; or, for one file of points, a file: .npy, or
            .txt with one label a line.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it does not hold points, saying what was found, or files differ in dimensions.
        ImportError: if the format needs a package that is not installed.
    """
    shards = open_shards(path, column=column, labels=labels)
    return LabeledPoints(*(_whole(shards[0]) if len(shards) == 1 else _together(shards)))


def _whole(shard: Shard) -> Block:
    rows, _ = shard.shape()
    return joined(list(shard.blocks(rows=rows)))


def _together(shards: list[Shard]) -> Block:
    """Return the points of all shards, each read once."""
    shapes = [shard.shape() for shard in shards]
    for shard, (_, d) in zip(shards, shapes, strict=True):
        if d != shapes[0][1]:
            raise ValueError(
                f"all files must hold points of as many dimensions, but {shard.name} has {d} "
                f"and {shards[0].name} has {shapes[0][1]}"
            )
    return joined([block for shard in shards for block in shard.blocks()])
