"""Rows of a quantizer's cells: how evenly are they filled?"""

from conescope.measures.row import Measure

ROWS: tuple[Measure, ...] = ()
