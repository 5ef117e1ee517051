"""Fixes of finished embeddings, as scikit-learn estimators: fitted on points, kept in safetensors files."""

from conescope._optional import require

for package in ("sklearn", "safetensors"):
    require(package, extra="transforms")

from conescope.transforms.all_but_the_top import AllButTheTop  # noqa: E402
from conescope.transforms.centering import Centering  # noqa: E402
from conescope.transforms.cluster_all_but_the_top import ClusterAllButTheTop  # noqa: E402
from conescope.transforms.files import Written, apply_to_files, fit_files  # noqa: E402
from conescope.transforms.kinds import KINDS, load_fix  # noqa: E402
from conescope.transforms.standardizing import Standardizing  # noqa: E402
from conescope.transforms.whitening import Whitening  # noqa: E402

__all__ = [
    "KINDS",
    "AllButTheTop",
    "Centering",
    "ClusterAllButTheTop",
    "Standardizing",
    "Whitening",
    "Written",
    "apply_to_files",
    "fit_files",
    "load_fix",
]
