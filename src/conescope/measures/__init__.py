"""Point cloud -> number. The table MEASURES says what there is, and what each value may be.

`conescope.measure` runs it over a cloud, the command line offers its names, and the tests hold every
row to what the row declares. The rows of a family stand together, in `conescope.measures.rows`.
"""

from conescope.measures.alignment import alignment
from conescope.measures.anisotropy import anisotropy, within_class_anisotropy
from conescope.measures.between_class_anisotropy import between_class_anisotropy
from conescope.measures.class_separation import class_separation
from conescope.measures.cluster_isotropy import (
    cluster_centered_cosine,
    cluster_count,
    cluster_isotropy_estimate,
)
from conescope.measures.condition_number import condition_number, variance_ratio
from conescope.measures.cosine import mean_cosine
from conescope.measures.density_variation import density_variation
from conescope.measures.drift import drift, relative_drift
from conescope.measures.eee import eee
from conescope.measures.effective_rank import effective_rank, effective_rank_of_variances
from conescope.measures.hubness import antihubs, hubness
from conescope.measures.intra_text_similarity import intra_text_similarity, intra_text_similarity_adjusted
from conescope.measures.isoscore import isoscore, isoscore_from_covariance
from conescope.measures.isoscore_star import isoscore_star
from conescope.measures.longest_bar import longest_bar_ratio
from conescope.measures.mle_dimension import mle_dimension
from conescope.measures.neural_collapse import neural_collapse
from conescope.measures.norms import mean_norm, norm_variation
from conescope.measures.participation_ratio import participation_ratio
from conescope.measures.partition_isotropy import log_partition_isotropy, partition_isotropy
from conescope.measures.persistent_entropy import persistent_entropy, relative_persistent_entropy
from conescope.measures.ph_dimension import ph_dimension
from conescope.measures.point_patchiness import (
    point_patchiness,
    published_point_patchiness,
    quantization_error,
    quantization_spread,
)
from conescope.measures.quantization import Quantization, quantize
from conescope.measures.rankme import rankme
from conescope.measures.rogue_dimensions import RogueDimensions, rogue_dimensions, rogue_share
from conescope.measures.row import Measure
from conescope.measures.rows import FAMILIES
from conescope.measures.selected_bars import selected_bars
from conescope.measures.self_similarity import self_similarity, self_similarity_adjusted
from conescope.measures.spectrum_slope import spectrum_slope
from conescope.measures.stable_rank import stable_rank
from conescope.measures.twonn import TwoNN, twonn, twonn_estimate
from conescope.measures.uniformity import uniformity
from conescope.measures.vrm import gaussian_vrm, vrm

__all__ = [
    "FAMILIES",
    "MEASURES",
    "Measure",
    "Quantization",
    "RogueDimensions",
    "TwoNN",
    "alignment",
    "anisotropy",
    "antihubs",
    "between_class_anisotropy",
    "class_separation",
    "cluster_centered_cosine",
    "cluster_count",
    "cluster_isotropy_estimate",
    "condition_number",
    "density_variation",
    "drift",
    "eee",
    "effective_rank",
    "effective_rank_of_variances",
    "gaussian_vrm",
    "hubness",
    "intra_text_similarity",
    "intra_text_similarity_adjusted",
    "isoscore",
    "isoscore_from_covariance",
    "isoscore_star",
    "log_partition_isotropy",
    "longest_bar_ratio",
    "mean_cosine",
    "mean_norm",
    "mle_dimension",
    "neural_collapse",
    "norm_variation",
    "participation_ratio",
    "partition_isotropy",
    "persistent_entropy",
    "ph_dimension",
    "point_patchiness",
    "published_point_patchiness",
    "quantization_error",
    "quantization_spread",
    "quantize",
    "rankme",
    "relative_drift",
    "relative_persistent_entropy",
    "rogue_dimensions",
    "rogue_share",
    "selected_bars",
    "self_similarity",
    "self_similarity_adjusted",
    "spectrum_slope",
    "stable_rank",
    "twonn",
    "twonn_estimate",
    "uniformity",
    "variance_ratio",
    "vrm",
    "within_class_anisotropy",
]

MEASURES: dict[str, Measure] = {row.name: row for rows in FAMILIES.values() for row in rows}
