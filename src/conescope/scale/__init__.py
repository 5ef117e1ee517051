"""Points at any size: files as streams of blocks, and what one pass over them keeps."""

from conescope.scale.block import Block
from conescope.scale.moments import Moments
from conescope.scale.sample import Sample
from conescope.scale.scan import Scanned
from conescope.scale.shards import Shard, open_shards, shard_of
from conescope.scale.sources import LabeledPoints, read_points
from conescope.scale.state import State, load, merge, save, state_of

__all__ = [
    "Block",
    "LabeledPoints",
    "Moments",
    "Sample",
    "Scanned",
    "Shard",
    "State",
    "load",
    "merge",
    "open_shards",
    "read_points",
    "save",
    "shard_of",
    "state_of",
]
