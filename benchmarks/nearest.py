"""The exact nearest neighbors of every point, and all that is measured on them, against other packages."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.clouds import cloud
from benchmarks.limits import PRODUCT, Limit, product, share
from benchmarks.record import Agreement, Row, missing, seconds
from benchmarks.timing import Arm, Timed, in_turns, quotient
from conescope._optional import require
from conescope.measures import MEASURES
from conescope.measures.neighbors import NEIGHBORS, neighbors

FEW = 10
MEASURED = [row for row in MEASURES.values() if row.reads == "neighbors"]
TOGETHER = "conescope, all measures of neighbors"
FLAT = "faiss IndexFlatL2"
DIMENSION = "scikit-dimension MLE"
PACKAGES = {"faiss": FLAT, "skdim": DIMENSION}


def together(points: Tensor) -> dict[str, float]:
    """Return every measure of nearest neighbors, from one pass."""
    found = neighbors(points)
    return {row.name: float(row.finish(found)) for row in MEASURED if row.finish is not None}


def neighbor_rows(n: int, d: int, repeats: int, *, size: int) -> list[Row]:
    """Return how much faster than other packages the pass is, alone and with its measures."""
    points = cloud(n, d).points
    multiply = product(size, d)
    arms: dict[str, Arm] = {TOGETHER: lambda: together(points), PRODUCT: multiply.arm}
    for k in (FEW, NEIGHBORS):
        arms |= {_ours(k): _pass(points, k), _brute(k): _brute_force(points.numpy(), k)}
    others = other_packages(points.numpy())
    times, values = in_turns(arms | others, repeats)

    def against(peer: str, arm: str, what: str, least: float | None, pair: Agreement) -> Row:
        return Row(
            benchmark="neighbors",
            what=what,
            n=n,
            d=d,
            value=quotient(times[peer], times[arm]),
            unit="times faster",
            least=least,
            seconds=seconds(times, arm, peer),
            agreements=(pair,),
        )

    rows = [
        against(
            _brute(k), _ours(k), f"{k} nearest neighbors, {n} x {d}", 1.5, _distances(values, k, _brute(k))
        )
        for k in (FEW, NEIGHBORS)
    ]
    what = f"{len(MEASURED)} measures of neighbors, {n} x {d}, against neighbors alone"
    rows.append(against(_brute(NEIGHBORS), TOGETHER, what, 1.5, _hubness(values)))
    if FLAT in others:
        rows.append(against(FLAT, _ours(FEW), f"against {FLAT}", None, _distances(values, FEW, FLAT, 1e-3)))
    if DIMENSION in others:
        rows.append(
            against(DIMENSION, TOGETHER, f"all of them, against {DIMENSION}", None, _dimension(values))
        )
    return [*rows, _work(n, d, times, multiply)]


def other_packages(array: NDArray[Any]) -> dict[str, Arm]:
    """Return the installed packages besides scikit-learn, each a function of no argument."""
    found: dict[str, Arm] = {}
    if find_spec("faiss") is not None:
        found[FLAT] = lambda: flat_distances(array, FEW)
    if find_spec("skdim") is not None:
        from skdim.id import MLE

        found[DIMENSION] = lambda: MLE().fit(array, n_neighbors=NEIGHBORS, comb="mle").dimension_
    return found


def flat_distances(array: NDArray[Any], k: int) -> NDArray[Any]:
    """Return the distances that faiss finds, without that of each point to itself."""
    import faiss

    index = faiss.IndexFlatL2(array.shape[1])
    index.add(array)
    squares, found = index.search(array, k + 1)
    others = found != np.arange(len(array))[:, None]
    others[others.all(axis=1), -1] = False  # a copy took the place of the point
    return np.sqrt(np.maximum(squares[others].reshape(len(array), k), 0))


def _ours(k: int) -> str:
    return f"conescope, k = {k}"


def _brute(k: int) -> str:
    return f"scikit-learn brute, k = {k}"


def _pass(points: Tensor, k: int) -> Arm:
    return lambda: neighbors(points, k)


def _brute_force(array: NDArray[Any], k: int) -> Arm:
    model = require("sklearn.neighbors", extra="measures").NearestNeighbors
    return lambda: model(n_neighbors=k, algorithm="brute").fit(array).kneighbors()


def _distances(values: Mapping[str, Any], k: int, peer: str, tolerance: float = 1e-6) -> Agreement:
    """Return how far distances are apart, relative to the largest one."""
    ours = values[_ours(k)].distances.numpy()
    theirs = values[peer] if peer == FLAT else values[peer][0]
    between = f"distances, {peer}"
    return Agreement(
        between=between, difference=np.abs(ours - theirs).max() / ours.max(), tolerance=tolerance
    )


def _hubness(values: Mapping[str, Any]) -> Agreement:
    """Return how far our hubness is from the skewness of the counts in scikit-learn's neighbors."""
    _, indices = values[_brute(FEW)]
    counts = np.bincount(indices.ravel(), minlength=len(indices))
    deviations = counts - counts.mean()
    theirs = (deviations**3).mean() / (deviations**2).mean() ** 1.5
    return Agreement.of(f"hubness, {_brute(FEW)}", values[TOGETHER]["hubness"], float(theirs), 1e-2)


def _dimension(values: Mapping[str, Any]) -> Agreement:
    return Agreement.of(
        f"mle_dimension, {DIMENSION}", values[TOGETHER]["mle_dimension"], float(values[DIMENSION]), 1e-4
    )


def _work(n: int, d: int, times: Mapping[str, Timed], multiply: Limit) -> Row:
    return Row(
        benchmark="neighbors",
        what=f"operations of the products (2 n^2 d), {_ours(FEW)}",
        n=n,
        d=d,
        value=share(2.0 * n * n * d, times[_ours(FEW)], multiply, times[PRODUCT]),
        unit=f"% of {PRODUCT}",
        seconds=seconds(times, _ours(FEW), PRODUCT),
        note=missing(PACKAGES),
    )
