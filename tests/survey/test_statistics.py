"""Statistics of a cloud without some of its points, against those of what is left."""

import math

import pytest
import torch

from conescope.measures import MEASURES
from conescope.measures.neighbors import neighbors
from conescope.scale.moments import moments
from conescope.survey.statistics import Statistics
from tests.survey.clouds import approx, cloud

N, GROUPS = 103, 10
ROWS = [row for row in MEASURES.values() if row.needs != "partners"]
NOT_ANEW = ("quantization",)  # codebooks stay those of all points


def points_of(kind):
    points = cloud(N, 4).double() + 0.4
    return {
        "plain": points,
        "wide": cloud(N, 120).double() + 0.1,
        "copies": points[torch.arange(N) % 70],
        "far": 1e4 + points,
    }[kind]


def groups():
    order = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    dealt = torch.zeros(GROUPS, N, dtype=torch.bool)
    return dealt.scatter_(1, order[: N - N % GROUPS].reshape(GROUPS, -1), True)


def same(found, expected, rel=1e-9):
    return math.isclose(found, expected, rel_tol=rel, abs_tol=1e-9) or (
        math.isnan(found) and math.isnan(expected)
    )


@pytest.mark.parametrize("kind", ["plain", "wide", "copies"])
def test_without_a_group_the_values_are_those_of_the_rest(kind):
    points, labels, group = points_of(kind), torch.arange(N) % 3, groups()[0]
    statistics = Statistics(points, labels, classes=3)
    for row in ROWS:
        statistics.value(row)  # what is held of all points is not handed down, but for what is crossed out
    rest, anew = statistics.without(group), Statistics(points[~group], labels[~group], classes=3)
    for row in ROWS:
        if row.reads not in NOT_ANEW:
            assert same(rest.value(row), anew.value(row)), row.name
            arguments = (labels[~group],) if row.needs_labels else ()
            assert same(anew.value(row), row.function(points[~group], *arguments).item(), 1e-7), row.name


def test_neighbors_that_stay_are_exact():
    points, group = points_of("plain"), groups()[4]
    statistics = Statistics(points)
    assert statistics.neighbors.indices.shape == (N, 20)
    found, expected = statistics.without(group).neighbors, neighbors(points[~group])
    assert torch.equal(found.indices, expected.indices)
    assert torch.equal(found.distances, expected.distances)


def test_of_few_points_all_neighbors_that_are_left_stay():
    points = points_of("plain")[:20]
    statistics = Statistics(points)
    statistics.value(MEASURES["twonn"])
    group = torch.zeros(20, dtype=torch.bool)
    group[[3, 7]] = True
    found, expected = statistics.without(group).neighbors, neighbors(points[~group])
    assert found.indices.shape == (18, 17)
    assert torch.equal(found.indices, expected.indices)


def test_a_crossed_out_neighborhood_lists_as_many_as_all_points_have():
    points = torch.arange(N).double()[:, None].expand(-1, 1).contiguous()
    statistics = Statistics(points)
    statistics.value(MEASURES["twonn"])
    group = torch.zeros(N, dtype=torch.bool)
    group[1:31] = True  # the 36 nearest of the first point are 1 .. 36, of which six stay
    found = statistics.without(group).neighbors
    expected = neighbors(points[~group], 6)
    assert torch.equal(found.indices, expected.indices)


def test_cells_keep_their_centroids_and_lose_their_points():
    points, group = points_of("plain"), groups()[2]
    statistics = Statistics(points)
    whole = statistics.quantization
    rest = statistics.without(group).quantization
    assert torch.equal(rest.centroids, whole.centroids)
    assert torch.equal(rest.codes, whole.codes[~group])
    for book, counts in enumerate(rest.counts):
        for cell, count in enumerate(counts):
            assert count == sum(code == cell for code in whole.codes[~group][:, book].tolist())
    # the share of variance that is lost, written out
    lost = (points[~group] - whole.reconstruction[~group]).square().sum()
    spread = (points[~group] - points[~group].mean(dim=0)).square().sum()
    found = statistics.without(group).value(MEASURES["quantization_error"])
    assert found == approx((lost / spread).item())


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kind", ["plain", "copies", "far"])
def test_merged_moments_are_those_of_the_rest(kind, order):
    points, labels = points_of(kind), torch.arange(N) % 4
    statistics = Statistics(points, labels, classes=6)
    dealt = groups()
    assert not dealt.any(dim=0).all()  # some points are in no group
    parts = list(statistics.without_each(dealt, order=order))
    assert len(parts) == GROUPS
    for group, rest in zip(dealt, parts, strict=True):
        expected = moments(points[~group], labels[~group], classes=6, order=order)
        assert "moments" in rest.__dict__
        assert (rest.moments.n, rest.moments.directions) == (expected.n, expected.directions)
        for name in ("mean", "direction_sum", "norm_mean", "norm_scatter", "scatter", "direction_square_sum"):
            found, right = getattr(rest.moments, name), getattr(expected, name)
            if order == 1 and name in ("scatter", "direction_square_sum"):
                assert found is right is None
            else:
                torch.testing.assert_close(found, right, rtol=1e-9, atol=1e-9)
        for name in ("counts", "means", "direction_sums"):
            torch.testing.assert_close(
                getattr(rest.moments.classes, name), getattr(expected.classes, name), rtol=1e-9, atol=1e-9
            )


def test_moments_are_not_merged_where_too_many_numbers_would_be_held(monkeypatch):
    monkeypatch.setattr("conescope.survey.statistics.HELD", 10)
    statistics = Statistics(points_of("plain"))
    for group, rest in zip(groups(), statistics.without_each(groups(), order=1), strict=True):
        assert "moments" not in rest.__dict__
        assert rest.moments.scatter is None  # of the order that will be read
        torch.testing.assert_close(rest.moments.mean, statistics.points[~group].mean(dim=0))


def test_a_spectrum_needs_no_moments():
    # with fewer points than dimensions, or with moments that hold no scatter
    for statistics in (Statistics(points_of("wide")), Statistics(points_of("plain"), order=1)):
        for name in ("isoscore", "rankme"):
            assert statistics.value(MEASURES[name]) == approx(
                MEASURES[name].function(statistics.points).item()
            )
        assert "moments" not in statistics.__dict__


def test_groups_that_hold_all_points():
    points = points_of("plain")[:100]
    dealt = torch.arange(100).remainder(GROUPS) == torch.arange(GROUPS)[:, None]
    for group, rest in zip(dealt, Statistics(points).without_each(dealt, order=2), strict=True):
        torch.testing.assert_close(rest.moments.scatter, moments(points[~group]).scatter)


def test_moments_of_all_points_stand_for_those_of_the_sample():
    points = points_of("plain")
    statistics = Statistics(points[:30], whole=moments(points))
    for name in ("mean_cosine", "isoscore", "rankme"):
        assert statistics.value(MEASURES[name]) == approx(MEASURES[name].function(points).item())
    assert statistics.value(MEASURES["twonn"]) == approx(MEASURES["twonn"].function(points[:30]).item())


def test_a_value_is_computed_once(monkeypatch):
    row, calls = MEASURES["uniformity"], []
    function = row.function
    monkeypatch.setitem(row.__dict__, "function", lambda points: calls.append(1) or function(points))
    statistics = Statistics(points_of("plain"))
    assert statistics.value(row) == statistics.value(row)
    assert calls == [1]


def test_copies_and_near_copies_are_told_apart():
    points = cloud(100, 8).double()
    points = torch.cat([points, points[:7], points[10:15] * (1 + 1e-7)])
    statistics = Statistics(points)
    assert statistics.copies == 7
    assert statistics.near_copies is None  # neighbors were not asked for
    statistics.value(MEASURES["twonn"])
    assert statistics.near_copies == 10  # both of each pair


@pytest.mark.parametrize("d", [1, 2, 5])
def test_points_of_few_dimensions_are_no_near_copies(d):
    statistics = Statistics(cloud(4000, d).double())
    statistics.value(MEASURES["twonn"])
    assert statistics.near_copies < 40  # on a line some are close by chance: less than one percent


def test_an_outlier_makes_no_near_copies():
    points = cloud(200, 6).double()
    points[:3] *= 1e6
    statistics = Statistics(points)
    statistics.value(MEASURES["twonn"])
    assert statistics.near_copies == 0
    few = Statistics(points[:40])
    few.value(MEASURES["twonn"])
    assert few.near_copies is None  # every list would reach to the outliers
