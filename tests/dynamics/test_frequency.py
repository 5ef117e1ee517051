import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from conescope.dynamics import centroid_distance, curvature_visibility, frequency_geometry
from conescope.dynamics.frequency import rank_correlation


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("kappa", "s"), [(1.0, 1.0), (1.0, 0.1), (2.0, 0.5)])
def test_visibility_of_a_parabolic_patch(kappa, s):
    u = s * normal(100_000, seed=1)
    patch = torch.stack([u, kappa * u**2 / 2], dim=1)
    assert curvature_visibility(patch).item() == pytest.approx(kappa**2 * s**2 / 2, rel=0.05)


def test_visibility_at_its_edges():
    assert curvature_visibility(torch.tensor([[0.0, 0.0], [1.0, 1.0]])) == 0
    assert curvature_visibility(torch.ones(4, 2)).isnan()
    assert curvature_visibility(torch.ones(1, 2)).isnan()
    assert curvature_visibility(torch.tensor([[0.0], [1.0]])).isnan()


def test_the_distance_to_the_centroid_does_not_depend_on_how_many_there_are():
    # E |x| of a Gaussian in three dimensions is 2 sqrt(2 / pi) = 1.5958
    for m in (2, 5, 50):
        clouds = normal(4000, m, 3, seed=m)
        mean = torch.stack([centroid_distance(cloud) for cloud in clouds]).mean()
        assert mean.item() == pytest.approx(2 * math.sqrt(2 / math.pi), rel=0.02)
    assert centroid_distance(torch.ones(1, 3)).isnan()


def planted(spread, counts):
    types = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    widths = torch.tensor(spread, dtype=torch.float64)[types]
    u = normal(len(types), seed=3) * widths
    return torch.stack([u, u**2 / 2, 0.001 * normal(len(types), seed=4)], dim=1), types


def test_frequent_types_that_stay_close_are_found_closer_and_flatter():
    counts = [40, 80, 160, 320, 640, 1280]
    points, types = planted([3.0, 1.5, 0.7, 0.3, 0.15, 0.07], counts)
    found = frequency_geometry(points, types, occurrences=40)
    assert found.counts.tolist() == counts
    assert found.distance.rho == pytest.approx(-1)
    assert found.visibility.rho < -0.7
    assert found.distance.types == 6


def test_types_of_one_law_show_no_frequency_and_rare_ones_are_left_out():
    counts = [3, *np.linspace(25, 200, 40).astype(int).tolist()]
    points, types = planted([0.5] * 41, counts)
    found = frequency_geometry(points, types)
    assert found.types.tolist() == list(range(1, 41))
    assert abs(found.distance.rho) < 0.45
    assert found.distance.p > 0.001


def test_counts_of_a_corpus_take_the_place_of_those_of_the_points():
    points, types = planted([1.0, 0.5, 0.2], [30, 30, 30])
    with_counts = frequency_geometry(points, types, torch.tensor([5, 50, 500]), occurrences=30)
    assert with_counts.counts.tolist() == [5, 50, 500]
    assert with_counts.distance.rho == pytest.approx(-1)
    own = frequency_geometry(points, types, occurrences=30)
    assert math.isnan(own.distance.rho)  # all types are as frequent


def test_rank_correlation_leaves_out_what_is_not_finite():
    one, other = normal(30), normal(30, seed=1)
    other[4] = math.nan
    expected = spearmanr(np.delete(one.numpy(), 4), np.delete(other.numpy(), 4))
    found = rank_correlation(one, other)
    assert found == pytest.approx((expected.statistic, expected.pvalue, 29))


def test_wrong_arguments_are_named(without_shape_checks):
    points, types = planted([1.0, 1.0], [20, 20])
    with pytest.raises(ValueError, match="expected 40 of them, got 39"):
        frequency_geometry(points, types[1:])
    with pytest.raises(ValueError, match="more than 1 of them, got 1"):
        frequency_geometry(points, types, torch.tensor([3]))
    with pytest.raises(ValueError, match="got occurrences = 1"):
        frequency_geometry(points, types, occurrences=1)


def test_without_a_type_that_is_frequent_enough_nothing_is_known():
    points, types = planted([1.0, 1.0], [5, 6])
    found = frequency_geometry(points, types)
    assert len(found.types) == len(found.distances) == found.distance.types == 0
    assert math.isnan(found.distance.rho)
