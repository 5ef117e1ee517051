"""A block: consecutive points of one shard, with their labels, and how pieces are cut into blocks."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

import torch

from conescope._types import Points

BYTES = 128 << 20  # of a block, unless the caller says how many rows
UNCOPIED = 256 << 20  # of one that takes no memory of its own: there is less to do between fewer
LabelList: TypeAlias = list[int] | list[str]


class Block(NamedTuple):
    """Consecutive rows of one shard, in the floating point type in which they are stored."""

    points: Points
    labels: LabelList | None = None


def recut(pieces: Iterable[Block], rows: int) -> Iterator[Block]:
    """Yield the same rows in blocks of `rows`, the last one shorter. A piece of that size is not copied."""
    held: list[Block] = []
    count = 0
    for piece in pieces:
        at = 0
        while len(piece.points) - at >= rows - count:
            held.append(_slice(piece, at, at + rows - count))
            at += rows - count
            yield joined(held)
            held, count = [], 0
        if at < len(piece.points):
            held.append(_slice(piece, at, len(piece.points)))
            count += len(piece.points) - at
    if held:
        yield joined(held)


def joined(blocks: list[Block]) -> Block:
    """Return one block of the rows of at least one; floating point types widen to one that holds all."""
    if len(blocks) == 1:
        return blocks[0]
    points = torch.cat([block.points for block in blocks])
    labels: list[int | str] = [label for block in blocks for label in block.labels or []]
    return Block(points, None if blocks[0].labels is None else labels)  # type: ignore[arg-type]


def _slice(block: Block, start: int, stop: int) -> Block:
    if start == 0 and stop == len(block.points):
        return block
    return Block(block.points[start:stop], None if block.labels is None else block.labels[start:stop])
