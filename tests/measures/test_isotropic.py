"""The yardstick against clouds drawn from an isotropic Gaussian."""

import numpy as np
import pytest

from conescope.measures import isotropic
from tests.reference.anisotropy import anisotropy, centered_anisotropy
from tests.reference.effective_rank import centered_effective_rank
from tests.reference.isoscore import isoscore

SIZES = [(20, 5), (30, 100), (200, 10), (64, 64), (500, 64)]


def mean_over_draws(function, n, d):
    rng = np.random.default_rng(0)
    return np.mean([function(rng.normal(size=(n, d))) for _ in range(30)])


@pytest.mark.parametrize(("n", "d"), SIZES)
def test_spectral_measures(n, d):
    largest = mean_over_draws(lambda x: centered_anisotropy(x, 1), n, d)
    assert isotropic.anisotropy_1(n, d) == pytest.approx(largest, rel=0.05)
    uncentered = mean_over_draws(lambda x: anisotropy(x, 1), n, d)
    assert isotropic.anisotropy_1(n + 1, d) == pytest.approx(uncentered, rel=0.05)
    assert isotropic.effective_rank(n, d) == pytest.approx(
        mean_over_draws(centered_effective_rank, n, d), rel=0.01
    )
    assert isotropic.isoscore(n, d) == pytest.approx(mean_over_draws(isoscore, n, d), abs=0.03)


def test_published_bias_of_isoscore():
    assert isotropic.isoscore(2000, 128) == pytest.approx(
        0.939, abs=5e-4
    )  # the authors' package prints 0.939


def test_many_points_approach_the_limits():
    assert isotropic.isoscore(10**9, 50) == pytest.approx(1, abs=1e-6)
    assert isotropic.anisotropy_1(10**9, 50) == pytest.approx(1 / 50, rel=1e-3)
    assert isotropic.effective_rank(10**9, 50) == pytest.approx(50, rel=1e-6)


def test_one_direction():
    assert isotropic.anisotropy_1(2, 9) == isotropic.anisotropy_1(100, 1) == 1
    assert isotropic.isoscore(2, 9) == 0
    assert isotropic.effective_rank(2, 9) == pytest.approx(1, rel=0.1)


def test_nothing_is_claimed_where_nothing_is_defined():
    assert isotropic.isoscore(1, 5) is isotropic.isoscore(5, 1) is isotropic.anisotropy_1(1, 5) is None
    assert isotropic.effective_rank(1, 5) is isotropic.centered_mean_cosine(1, 5) is None
    assert isotropic.persistent_entropy(100, 2) is isotropic.relative_persistent_entropy(100, 2) is None
