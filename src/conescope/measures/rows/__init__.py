"""The rows of MEASURES, one file a family."""

from conescope.measures.row import Measure
from conescope.measures.rows import (
    classes,
    cosine,
    neighbors,
    partition,
    quantization,
    spectrum,
    spread,
    topology,
)

FAMILIES: dict[str, tuple[Measure, ...]] = {
    "cosine and norms": cosine.ROWS,
    "spectrum": spectrum.ROWS,
    "spread": spread.ROWS,
    "sphere": partition.ROWS,
    "neighbors": neighbors.ROWS,
    "quantization": quantization.ROWS,
    "topology": topology.ROWS,
    "clusters and labels": classes.ROWS,
}
