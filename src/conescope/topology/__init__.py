"""Point cloud -> barcode -> number: persistence of Vietoris-Rips complexes, its entropy, its features."""

from conescope.topology.dendrogram import dendrogram, linkage_of_edges
from conescope.topology.diagrams import bottleneck_distance, total_persistence, wasserstein_distance
from conescope.topology.entropy import persistent_entropy, relative_persistent_entropy
from conescope.topology.homology import rips_barcode
from conescope.topology.rips import h0_barcode, h0_edges, h0_lengths
from conescope.topology.selection import RULES, Rule, select_bars

__all__ = [
    "RULES",
    "Rule",
    "bottleneck_distance",
    "dendrogram",
    "h0_barcode",
    "h0_edges",
    "h0_lengths",
    "linkage_of_edges",
    "persistent_entropy",
    "relative_persistent_entropy",
    "rips_barcode",
    "select_bars",
    "total_persistence",
    "wasserstein_distance",
]
