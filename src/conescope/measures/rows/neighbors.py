"""Rows of nearest neighbors: hubs, density, and the dimension that growth of neighborhoods shows."""

from conescope.measures.row import Measure

ROWS: tuple[Measure, ...] = ()
