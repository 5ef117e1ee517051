"""The metric: any split of the points gives the number of the whole."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import conescope
from conescope.measures import MEASURES
from tests.survey.clouds import cloud, collapsed

pytest.importorskip("torchmetrics")
from conescope.training import GeometryMetric

NAMES = [
    row.name for row in MEASURES.values() if not row.sampled and row.needs == "nothing" and not row.package
]


def truth(points):
    found = conescope.measure(points, measures=NAMES, intervals=False, null=False)
    return {name: found.measured(name).value for name in NAMES}


def close(metric, points):
    expected = truth(points)
    found = {name: float(value) for name, value in metric.compute().items()}
    assert set(found) == set(NAMES)
    for name, value in expected.items():
        assert found[name] == pytest.approx(float("nan") if value is None else value, rel=1e-6, nan_ok=True)


@settings(deadline=None, max_examples=15)
@given(cuts=st.lists(st.integers(0, 60), max_size=4), ranks=st.integers(1, 3))
def test_any_split_over_batches_and_processes_gives_the_same(cuts, ranks):
    points = cloud(60, 5) + 2
    ends = [0, *sorted(cuts), 60]
    metrics = [GeometryMetric(5, NAMES) for _ in range(ranks)]
    for number, (start, end) in enumerate(pairwise(ends)):
        metrics[number % ranks].update(points[start:end])
    # what torchmetrics does to the states that it gathered
    whole = GeometryMetric(5, NAMES)
    whole.packed = whole._reductions["packed"](torch.stack([metric.packed for metric in metrics]))
    whole._update_count = 1
    close(whole, points)


def test_a_small_spread_beside_a_long_mean_is_kept():
    """One vector plus noise of a millionth: sums of squares in float64 would have lost its spectrum."""
    points = collapsed(n=500, d=8).double()
    metric = GeometryMetric(8, NAMES)
    for batch in points.split(50):
        metric.update(batch)
    close(metric, points)


def test_forward_gives_the_batch_and_keeps_the_whole():
    metric = GeometryMetric(4, ("mean_cosine",))
    one, other = cloud(10, 4), cloud(20, 4, seed=1) + 1
    expected = conescope.measure(other, measures=["mean_cosine"]).value("mean_cosine")
    metric(one)
    assert float(metric(other)["mean_cosine"]) == pytest.approx(expected)
    both = conescope.measure(torch.cat([one, other]), measures=["mean_cosine"]).value("mean_cosine")
    assert float(metric.compute()["mean_cosine"]) == pytest.approx(both)
    metric.reset()
    metric.update(one)
    alone = conescope.measure(one, measures=["mean_cosine"]).value("mean_cosine")
    assert float(metric.compute()["mean_cosine"]) == pytest.approx(alone)


def test_two_metrics_merge_and_the_state_does_not_grow():
    first, second = GeometryMetric(5, NAMES), GeometryMetric(5, NAMES)
    points = cloud(60, 5)
    first.update(points[:25])
    size = first.packed.numel()
    second.update(points[25:])
    first.merge_state(second)
    close(first, points)
    assert first.packed.numel() == size
    assert not dict(first.named_buffers())


def test_without_points_all_is_nan():
    metric = GeometryMetric(5, ("mean_cosine", "effective_rank"))
    metric.update(torch.zeros(0, 5))
    assert all(value.isnan() for value in metric.compute().values())


def test_settings_and_points_are_checked(without_shape_checks):
    with pytest.raises(ValueError, match="uniformity looks at pairs of points"):
        GeometryMetric(5, ("uniformity",))
    with pytest.raises(ValueError, match="the dimension must be at least 1, got 0"):
        GeometryMetric(0)
    metric = GeometryMetric(5)
    with pytest.raises(ValueError, match=r"points must have shape \(n, 5\), got \(3, 4\)"):
        metric.update(torch.ones(3, 4))
    with pytest.raises(ValueError, match="row 1"):
        metric.update(torch.tensor([[1.0] * 5, [torch.nan] * 5]))
