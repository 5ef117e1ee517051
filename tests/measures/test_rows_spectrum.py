"""What the rows of the spectrum say of isotropic clouds and of their bounds, against the references."""

import numpy as np
import pytest

from conescope.measures import MEASURES
from tests.reference.condition_number import condition_number, variance_ratio
from tests.reference.effective_rank import centered_effective_rank_of_variances
from tests.reference.isoscore_star import isoscore_star
from tests.reference.participation_ratio import participation_ratio
from tests.reference.rankme import rankme
from tests.reference.stable_rank import centered_stable_rank

SIZES = [(20, 5), (30, 100), (200, 10), (64, 64), (500, 64)]


def shrunk_isoscore(points):
    d = points.shape[1]
    return isoscore_star(points, np.eye(d) * np.trace(np.cov(points.T)) / d, 0.2)


REFERENCES = {
    "effective_rank_of_variances": (centered_effective_rank_of_variances, 0.02),
    "participation_ratio": (participation_ratio, 0.02),
    "stable_rank": (centered_stable_rank, 0.05),
    "rankme": (rankme, 0.01),
    "isoscore_star": (shrunk_isoscore, 0.02),
    "condition_number": (condition_number, 0.08),
    "variance_ratio": (variance_ratio, 0.12),
}


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize(("n", "d"), SIZES)
def test_isotropic_value_is_the_mean_over_draws(name, n, d):
    function, rel = REFERENCES[name]
    expected = MEASURES[name].isotropic(n, d)
    if expected is None:
        assert name == "condition_number"
        assert (n, d) == (64, 64)  # nearly square: no mean exists
        return
    rng = np.random.default_rng(0)
    drawn = np.mean([function(rng.normal(size=(n, d))) for _ in range(40)])
    assert expected == pytest.approx(drawn, rel=rel, abs=1e-12)


@pytest.mark.parametrize("name", REFERENCES)
def test_nothing_is_claimed_of_one_point(name):
    assert (MEASURES[name].isotropic(1, 5) is None) == (name != "rankme")
    assert MEASURES[name].isotropic(0, 5) is None


@pytest.mark.parametrize(
    "name", ["effective_rank_of_variances", "participation_ratio", "stable_rank", "rankme"]
)
def test_one_dimension_is_one_direction(name):
    assert MEASURES[name].isotropic(50, 1) == pytest.approx(1, abs=0.02)


def test_ends_in_one_dimension():
    assert MEASURES["isoscore_star"].isotropic(50, 1) is None
    assert MEASURES["condition_number"].isotropic(50, 1) == MEASURES["variance_ratio"].isotropic(50, 1) == 1
    assert MEASURES["condition_number"].bounds(50, 1) == (1, 1)
    assert MEASURES["variance_ratio"].bounds(5, 5) == (0, 0)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (3, 8), (9, 4)])
def test_bounds_of_rankme_are_reached(n, d):
    line = np.outer(np.arange(1.0, n + 1), np.ones(d))
    low, high = MEASURES["rankme"].bounds(n, d)
    assert low == pytest.approx(rankme(line), rel=1e-12)
    assert high == pytest.approx(rankme(np.eye(n, d)), rel=1e-12)


@pytest.mark.parametrize("d", [2, 10])
def test_bounds_of_isoscore_star_are_reached(d):
    low, high = MEASURES["isoscore_star"].bounds(50, d)
    assert low == pytest.approx(shrunk_isoscore(np.outer(np.arange(9.0), np.arange(1.0, d + 1))), abs=1e-12)
    assert high == 1
    _, few = MEASURES["isoscore_star"].bounds(2, d)  # two points are a line
    assert few == pytest.approx(low)
