"""Points that live in files."""

from conescope.scale.sources import LabeledPoints, read_points

__all__ = ["LabeledPoints", "read_points"]
