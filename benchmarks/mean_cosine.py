"""The mean cosine of all pairs: from sums of directions, against scikit-learn's matrix of cosines."""

from benchmarks.clouds import cloud
from benchmarks.limits import reading, share
from benchmarks.record import Agreement, Row, seconds
from benchmarks.timing import Arm, in_turns, quotient
from conescope._optional import require
from conescope.measures.cosine import mean_cosine, mean_cosine_from_moments
from conescope.scale.moments import moments

MEASURE = "measures.mean_cosine"
PEER = "scikit-learn cosine_similarity"
READING = "torch.sum over the points"
FASTEST = "moments(order=1, precision='single')"


def mean_cosine_rows(n: int, d: int, repeats: int) -> list[Row]:
    """Return how much faster than the mean of a matrix of cosines the sums are."""
    pairwise = require("sklearn.metrics.pairwise", extra="measures")
    points = cloud(n, d).points
    array, read = points.numpy(), reading(points)

    def of_matrix() -> float:
        mean = float(pairwise.cosine_similarity(array).mean())
        return (n * mean - 1) / (n - 1)  # less the diagonal

    ours: dict[str, Arm] = {
        MEASURE: lambda: float(mean_cosine(points)),
        "moments(order=1)": lambda: float(mean_cosine_from_moments(moments(points, order=1))),
        FASTEST: lambda: float(mean_cosine_from_moments(moments(points, order=1, precision="single"))),
    }
    times, values = in_turns({**ours, PEER: of_matrix, READING: read.arm}, repeats)
    rows = [
        Row(
            benchmark="mean_cosine",
            what=f"mean cosine, {n} x {d}, {name}",
            n=n,
            d=d,
            value=quotient(times[PEER], times[name]),
            unit="times faster",
            least=100 if name == MEASURE else None,
            seconds=seconds(times, name, PEER),
            agreements=(Agreement.of(f"mean cosine, {PEER}", values[name], values[PEER], 1e-5),),
        )
        for name in ours
    ]
    within = Row(
        benchmark="mean_cosine",
        what=f"bytes a second, {FASTEST}",
        n=n,
        d=d,
        value=share(read.amount, times[FASTEST], read, times[READING]),
        unit="% of reading",
        seconds=seconds(times, FASTEST, READING),
    )
    return [*rows, within]
