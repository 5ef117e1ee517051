"""Points that live in files."""

from conescope.scale.block import Block
from conescope.scale.shards import Shard, open_shards, shard_of
from conescope.scale.sources import LabeledPoints, read_points

__all__ = ["Block", "LabeledPoints", "Shard", "open_shards", "read_points", "shard_of"]
