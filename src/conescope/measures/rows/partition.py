"""Rows of the sphere: how evenly do directions cover it?"""

from conescope.measures.row import Measure

ROWS: tuple[Measure, ...] = ()
