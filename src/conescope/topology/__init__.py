"""Point cloud -> barcode -> number: H0 of the Vietoris-Rips filtration, its entropy, its features."""

from conescope.topology.entropy import persistent_entropy, relative_persistent_entropy
from conescope.topology.rips import h0_barcode, h0_edges, h0_lengths
from conescope.topology.selection import RULES, Rule, select_bars

__all__ = [
    "RULES",
    "Rule",
    "h0_barcode",
    "h0_edges",
    "h0_lengths",
    "persistent_entropy",
    "relative_persistent_entropy",
    "select_bars",
]
