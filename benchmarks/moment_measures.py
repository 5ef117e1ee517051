"""Every measure that moments give, together, against one PCA, and against packages for one of them."""

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.clouds import cloud
from benchmarks.limits import PRODUCT, product, share
from benchmarks.record import Agreement, Row, missing, seconds
from benchmarks.timing import Arm, in_turns, quotient
from conescope._optional import require
from conescope.measures import MEASURES
from conescope.measures.spectrum import spectrum_from_moments
from conescope.scale.moments import moments

TOGETHER = "conescope, all measures of moments"
PASS = "conescope, the pass alone"
PEER = "scikit-learn PCA(covariance_eigh)"
MEASURED = [
    row
    for row in MEASURES.values()
    if row.reads in ("moments", "spectrum", "uncentered_spectrum") and row.needs == "nothing"
]
PACKAGES = {
    "IsoScore": ("PyPI IsoScore", "isoscore"),
    "skdim": ("scikit-dimension lPCA", "participation_ratio"),
}
CLOSE = 1e-4  # relative, where both sides have products in float32


def together(points: Tensor) -> dict[str, float]:
    """Return every measure that moments give and that needs no labels: one pass, two spectra."""
    found = moments(points, precision="single")
    statistics = {
        "moments": found,
        "spectrum": spectrum_from_moments(found),
        "uncentered_spectrum": spectrum_from_moments(found, center=False),
    }
    return {row.name: float(row.finish(statistics[row.reads])) for row in MEASURED if row.finish is not None}


def moment_rows(n: int, d: int, repeats: int, *, size: int) -> list[Row]:
    """Return the time of all moment measures over that of one PCA, and of packages over all of them."""
    decomposition = require("sklearn.decomposition", extra="measures")
    points = cloud(n, d).points
    array, multiply = points.numpy(), product(size, d)
    arms: dict[str, Arm] = {
        TOGETHER: lambda: together(points),
        PASS: lambda: moments(points, precision="single").n,
        PEER: lambda: decomposition.PCA(svd_solver="covariance_eigh").fit(array).explained_variance_,
        PRODUCT: multiply.arm,
    }
    times, values = in_turns(arms | single_measures(array), repeats)
    ours, variances = values[TOGETHER], values[PEER].astype(np.float64)
    theirs = {
        "participation_ratio": variances.sum() ** 2 / (variances**2).sum(),
        "anisotropy_1": variances[0] / variances.sum(),
    }
    rows = [
        Row(
            benchmark="moments",
            what=f"{len(MEASURED)} measures of moments, {n} x {d}, against one PCA",
            n=n,
            d=d,
            value=quotient(times[TOGETHER], times[PEER]),
            unit="times as long",
            most=1.2,
            seconds=seconds(times, TOGETHER, PASS, PEER),
            agreements=tuple(
                Agreement.of(f"{name}, {PEER}", ours[name], float(value), CLOSE)
                for name, value in theirs.items()
            ),
            note=missing(PACKAGES),
        ),
        Row(
            benchmark="moments",
            what="the pass as a general product (2 n d^2; by symmetry half is needed)",
            n=n,
            d=d,
            value=share(2.0 * n * d * d, times[PASS], multiply, times[PRODUCT]),
            unit=f"% of {PRODUCT}",
            seconds=seconds(times, PASS, PRODUCT),
        ),
    ]
    rows += [
        Row(
            benchmark="moments",
            what=f"all of them, against {measure} of {name}",
            n=n,
            d=d,
            value=quotient(times[name], times[TOGETHER]),
            unit="times faster",
            seconds=seconds(times, TOGETHER, name),
            agreements=(Agreement.of(f"{measure}, {name}", ours[measure], float(values[name]), CLOSE),),
        )
        for name, measure in PACKAGES.values()
        if name in values
    ]
    return rows


def single_measures(array: NDArray[Any]) -> dict[str, Arm]:
    """Return the installed packages for one of the measures, each a function of no argument."""
    found: dict[str, Arm] = {}
    if find_spec("IsoScore") is not None:
        from IsoScore import IsoScore

        found[PACKAGES["IsoScore"][0]] = lambda: IsoScore.IsoScore(array)
    if find_spec("skdim") is not None:
        from skdim.id import lPCA

        found[PACKAGES["skdim"][0]] = lambda: lPCA(ver="participation_ratio").fit(array).dimension_
    return found
