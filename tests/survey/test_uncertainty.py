"""Intervals: the jackknife by hand, what it covers, and where there is none."""

import math
from dataclasses import replace

import jaxtyping
import numpy as np
import pytest
import torch
from scipy import stats

import conescope
from conescope.measures import MEASURES
from conescope.survey import uncertainty
from conescope.survey.statistics import Statistics
from conescope.survey.uncertainty import dealt, intervals
from tests.survey.clouds import cloud

T9 = 2.262157162740992  # of Student's t with nine degrees of freedom, 97.5 % (any table)


def half(found, name):
    low, high = found[name]
    return (high - low) / 2


def by_hand(values, order, statistic):
    """Delete-a-group jackknife in NumPy: ten groups of one size, dealt in this order."""
    size = len(values) // 10
    groups = [order[group * size : (group + 1) * size] for group in range(10)]
    without = [statistic(np.delete(values, group, axis=0)) for group in groups]
    return math.sqrt(9 / 10 * sum((value - np.mean(without)) ** 2 for value in without))


@pytest.mark.parametrize("n", [20, 57, 400])
def test_mean_norm_by_hand(n):
    points = cloud(n, 3).double() + 1
    norms = np.linalg.norm(points.numpy(), axis=1)
    error = by_hand(norms, dealt(points, 5).numpy(), np.mean)
    low, high = intervals(Statistics(points), [MEASURES["mean_norm"]], n, seed=5)["mean_norm"]
    assert (low, high) == pytest.approx((norms.mean() - T9 * error, norms.mean() + T9 * error), rel=1e-9)
    # of a mean, the error is that of group means: sqrt(sum (m_g - m)^2 / (10 9)), for groups of one size
    if n % 10 == 0:
        means = norms[dealt(points, 5).numpy()].reshape(10, -1).mean(axis=1)
        assert error == pytest.approx(means.std(ddof=1) / math.sqrt(10), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "statistic"),
    [
        ("norm_variation", lambda x: np.linalg.norm(x, axis=1).std() / np.linalg.norm(x, axis=1).mean()),
        ("participation_ratio", lambda x: np.trace(np.cov(x.T)) ** 2 / (np.cov(x.T) ** 2).sum()),
        (
            "relative_drift",
            lambda x: np.linalg.norm(x.mean(axis=0)) / np.linalg.norm(x, axis=1).mean(),
        ),
    ],
)
def test_other_measures_by_hand(name, statistic):
    points = cloud(93, 4).double() * torch.tensor([1.0, 2, 3, 4]) + 1
    error = by_hand(points.numpy(), dealt(points, 0).numpy(), statistic)
    found = intervals(Statistics(points), [MEASURES[name]], 93)
    assert half(found, name) == pytest.approx(T9 * error, rel=1e-9)


def test_the_quantile_is_that_of_student():
    assert stats.t.ppf(0.975, 9) == pytest.approx(T9)


# what the intervals of 200 clouds say of the truth

SCALES = torch.linspace(1, 2, 8, dtype=torch.float64)
OFFSET = 0.5


def drawn(seed, n=400):
    points = torch.randn(n, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return points * SCALES + OFFSET


@pytest.fixture(scope="module")
def covered():
    names = ["mean_cosine", "mean_norm", "norm_variation", "effective_rank"]
    found = {name: [] for name in (*names, "twonn")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # several times as fast
        for seed in range(200):
            rows = [MEASURES[name] for name in (names if seed >= 40 else found)]
            statistics = Statistics(drawn(seed))
            for name, ends in intervals(statistics, rows, 400, seed=seed).items():
                found[name].append((statistics.value(MEASURES[name]), *ends))
    return found


def coverage(covered, name, truth):
    return np.mean([low <= truth <= high for _, low, high in covered[name]])


def excess(covered, name):
    """Return how much larger the errors are than the values vary."""
    value, low, high = np.array(covered[name]).T
    return np.sqrt((((high - low) / 2 / T9) ** 2).mean()) / value.std()


def truth_of_many_points(name):
    points = drawn(10_000, n=1_000_000)
    norms = torch.linalg.vector_norm(points, dim=1)
    if name == "mean_cosine":
        return (points / norms[:, None]).mean(dim=0).square().sum().item()
    if name == "norm_variation":
        return (norms.std() / norms.mean()).item()
    return norms.mean().item()


@pytest.mark.parametrize("name", ["mean_cosine", "mean_norm", "norm_variation"])
def test_intervals_cover_what_many_points_give(covered, name):
    assert 0.88 <= coverage(covered, name, truth_of_many_points(name)) <= 0.99


def test_intervals_of_effective_rank_cover_that_of_the_covariance(covered):
    shares = SCALES / SCALES.sum()
    truth = torch.exp(-(shares * shares.log()).sum()).item()
    assert 0.88 <= coverage(covered, "effective_rank", truth) <= 0.99


@pytest.mark.parametrize("name", ["mean_cosine", "mean_norm", "norm_variation", "effective_rank"])
def test_intervals_are_as_wide_as_values_vary(covered, name):
    assert 0.85 < excess(covered, name) < 1.15


def test_intervals_of_neighbors_are_rather_too_wide(covered):
    # The dimension is 8, and 400 points read 7.6: an interval tells noise, not bias. It covers the mean of
    # the clouds more often than it says, as a point that is left out changes the lists of its neighbors.
    mean = np.mean([value for value, *_ in covered["twonn"]])
    assert coverage(covered, "twonn", mean) >= 0.95
    assert coverage(covered, "twonn", 8) >= 0.88
    assert 1.2 < excess(covered, "twonn") < 2


@pytest.mark.parametrize(
    "name",
    [
        "uniformity",
        "partition_isotropy",
        "vrm",
        "mean_cosine_centered",
        "persistent_entropy",
        "relative_persistent_entropy",
    ],
)
def test_what_looks_at_pairs_is_not_narrower_than_its_values_vary(name, monkeypatch):
    # jackknifed on 60 of 200 points; for some the error goes down faster than with the root of their number
    monkeypatch.setattr(uncertainty, "FEW_PAIRS", 60)
    clouds = [Statistics(drawn(seed, n=200)) for seed in range(30)]
    row = MEASURES[name]
    deviation = np.std([statistics.value(row) for statistics in clouds])
    halves = [half(intervals(statistics, [row], 200, seed=1), name) / T9 for statistics in clouds]
    assert np.sqrt(np.mean(np.square(halves))) > 0.7 * deviation


# where, and how wide


WITH_INTERVALS = [row for row in MEASURES.values() if row.jackknife and row.needs != "partners"]


@pytest.mark.parametrize("kind", ["cone", "wide", "sphere"])
def test_an_interval_holds_the_value_and_stays_within_bounds(kind):
    points = {
        "cone": cloud(120, 6) + 3,
        "wide": cloud(60, 90),
        "sphere": torch.nn.functional.normalize(cloud(400, 3), dim=1),
    }[kind].double()
    n, d = points.shape
    statistics = Statistics(points, torch.arange(n) % 3, classes=3)
    found = intervals(statistics, WITH_INTERVALS, n)
    assert len(found) > 25
    for name, (low, high) in found.items():
        bounds = MEASURES[name].bounds(n, d)
        assert low <= statistics.value(MEASURES[name]) <= high
        assert bounds[0] - 1e-9 <= low
        assert high <= bounds[1] + 1e-9


def test_all_rows_have_an_interval_that_can_have_one():
    points = cloud(200, 5).double() + 1
    found = intervals(Statistics(points, torch.arange(200) % 3, classes=3), MEASURES.values(), 200)
    assert set(found) == {row.name for row in WITH_INTERVALS}


def test_counts_extremes_and_pairs_with_partners_have_none():
    points = cloud(60, 5) + 0.5
    names = [name for name, row in MEASURES.items() if row.needs != "labels"]
    found = conescope.measure(points, None, names, partners=points + 0.1, null=False)
    for measured in found.values:
        row = MEASURES[measured.name]
        assert (measured.low is None) == (measured.high is None)
        if not row.jackknife or row.needs == "partners":
            assert measured.low is None
    assert not MEASURES["selected_bars"].jackknife
    assert not MEASURES["cluster_count"].jackknife


@pytest.mark.parametrize(("n", "some"), [(19, False), (20, True)])
def test_fewer_than_twenty_points_have_none(n, some):
    found = conescope.measure(cloud(n, 3), measures=["mean_norm", "effective_rank", "twonn"], null=False)
    assert [measured.low is not None for measured in found.values] == [some] * 3


def test_a_value_that_is_undefined_without_a_group_has_none():
    # all but one point coincide: without its group nothing differs, and the effective rank is undefined
    points = torch.zeros(40, 3, dtype=torch.float64)
    points[7, 1] = 1
    statistics = Statistics(points)
    assert statistics.value(MEASURES["effective_rank"]) == 1
    assert intervals(statistics, [MEASURES["effective_rank"]], 40) == {}


def test_a_constant_value_has_an_interval_of_no_width():
    points = torch.nn.functional.normalize(cloud(60, 3).double(), dim=1)
    low, high = intervals(Statistics(points), [MEASURES["mean_norm"]], 60)["mean_norm"]
    assert low == pytest.approx(1, abs=1e-14)
    assert high == pytest.approx(1, abs=1e-14)


def test_what_is_known_of_more_points_is_known_better():
    points = (cloud(500, 5).double() + 0.5) * torch.tensor([1.0, 2, 3, 4, 5])  # far from all bounds
    names = ["mean_norm", "norm_variation", "isoscore", "rankme"]
    rows = [MEASURES[name] for name in names]
    few, many = (intervals(Statistics(points), rows, n) for n in (500, 50_000))
    for name in names:
        # the sample of 500 tells how much points vary; the value is of a hundred times as many
        assert half(few, name) / half(many, name) == pytest.approx(10, rel=1e-9)


def test_what_is_sampled_is_known_no_better_than_the_sample():
    points = cloud(100, 5).double()
    few, many = (intervals(Statistics(points), [MEASURES["twonn"]], n) for n in (100, 10_000))
    assert few == many


def test_fewer_points_are_looked_at_for_pairs_and_the_error_is_that_of_all(monkeypatch):
    points, row = cloud(400, 5).double(), MEASURES["uniformity"]
    order = dealt(points, 0)
    monkeypatch.setattr(uncertainty, "FEW_PAIRS", 100)
    part = points[order[:100]].numpy()

    def reference(x):
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        squares = 2 - 2 * (unit @ unit.T)[np.triu_indices(len(x), 1)]
        return math.log(np.exp(-2 * squares).mean())

    error = by_hand(part, np.arange(100), reference) * math.sqrt(100 / 400)
    low, high = intervals(Statistics(points), [row], 400)["uniformity"]
    center = reference(points.numpy())
    assert (low, high) == pytest.approx((center - T9 * error, center + T9 * error), rel=1e-9)


def test_very_wide_points_have_intervals_of_their_spectrum_on_few_points(monkeypatch):
    monkeypatch.setattr(uncertainty, "WIDE", 4)
    monkeypatch.setattr(uncertainty, "FEW_PAIRS", 100)
    points, row = cloud(400, 6).double() * torch.arange(1, 7), MEASURES["participation_ratio"]
    part = points[dealt(points, 0)[:100]].numpy()
    error = by_hand(
        part, np.arange(100), lambda x: np.trace(np.cov(x.T)) ** 2 / (np.cov(x.T) ** 2).sum()
    ) * math.sqrt(100 / 400)
    assert half(intervals(Statistics(points), [row], 400), row.name) == pytest.approx(T9 * error, rel=1e-9)


# who is in which group


def test_groups_do_not_depend_on_the_order_of_the_points():
    points = cloud(75, 3).double()
    order = torch.randperm(75, generator=torch.Generator().manual_seed(8))
    torch.testing.assert_close(points[dealt(points, 4)], points[order][dealt(points[order], 4)])


def test_every_point_is_dealt_once_and_seeds_deal_differently():
    points = cloud(75, 3).double()
    orders = [dealt(points, seed) for seed in range(3)]
    assert all(torch.equal(order.sort().values, torch.arange(75)) for order in orders)
    assert not torch.equal(orders[0], orders[1])
    assert torch.equal(dealt(points, 2), orders[2])


def test_minus_zero_is_zero():
    points = torch.zeros(30, 2, dtype=torch.float64)
    points[:, 1] = torch.arange(30)
    signed = points.clone()
    signed[::2, 0] = -0.0
    assert torch.equal(dealt(points, 0), dealt(signed, 0))


def test_groups_are_of_one_size():
    # a value that goes with the number of points, and with nothing else, does not vary between them
    points = cloud(57, 3).double()
    count = replace(
        MEASURES["mean_norm"],
        reads="points",
        function=lambda points: torch.tensor(float(len(points))),
        bounds=lambda n, d: (-math.inf, math.inf),
    )
    low, high = intervals(Statistics(points), [count], 57)["mean_norm"]
    assert low == high == 57
