"""Point cloud -> number. The table MEASURES says what there is, and what each value may be.

`conescope.measure` runs it over a cloud, the command line offers its names, and the tests hold every
row to what the row declares. The rows of a family stand together, in `conescope.measures.rows`.
"""

from conescope.measures.anisotropy import anisotropy, within_class_anisotropy
from conescope.measures.cosine import mean_cosine
from conescope.measures.effective_rank import effective_rank
from conescope.measures.isoscore import isoscore, isoscore_from_covariance
from conescope.measures.persistent_entropy import persistent_entropy, relative_persistent_entropy
from conescope.measures.row import Measure
from conescope.measures.rows import classes, cosine, neighbors, partition, quantization, spectrum, topology

__all__ = [
    "FAMILIES",
    "MEASURES",
    "Measure",
    "anisotropy",
    "effective_rank",
    "isoscore",
    "isoscore_from_covariance",
    "mean_cosine",
    "persistent_entropy",
    "relative_persistent_entropy",
    "within_class_anisotropy",
]

FAMILIES: dict[str, tuple[Measure, ...]] = {
    "cosine and norms": cosine.ROWS,
    "spectrum": spectrum.ROWS,
    "sphere": partition.ROWS,
    "neighbors": neighbors.ROWS,
    "quantization": quantization.ROWS,
    "topology": topology.ROWS,
    "clusters and labels": classes.ROWS,
}
MEASURES: dict[str, Measure] = {row.name: row for rows in FAMILIES.values() for row in rows}
