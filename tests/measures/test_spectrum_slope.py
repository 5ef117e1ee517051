import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import spectrum_slope
from conescope.measures.spectrum import spectrum, spectrum_from_moments
from conescope.measures.spectrum_slope import slope_ranks, spectrum_slope_from_spectrum
from conescope.scale.moments import moments
from tests.reference import spectrum_slope as reference


def cross(variances):
    axes = torch.diag(torch.as_tensor(variances, dtype=torch.float64).sqrt())
    return torch.cat([axes, -axes])


def power_law(d, alpha):
    return torch.arange(1, d + 1, dtype=torch.float64) ** -alpha


@pytest.mark.parametrize("alpha", [0, 0.5, 1, 3])
@pytest.mark.parametrize("ranks", [None, (1, 30), (4, 6)])
def test_a_power_law_gives_its_exponent(alpha, ranks):
    points = cross(power_law(30, alpha)) + 3
    assert spectrum_slope(points, ranks=ranks).item() == pytest.approx(alpha, abs=1e-9)


def test_three_variances_by_hand():
    # x = ln 1, ln 2, ln 3 and y = ln 4, 0, 0. With the mean m = ln 6 / 3 of x:
    # slope = (0 - m) ln 4 / (m^2 + (ln 2 - m)^2 + (ln 3 - m)^2)
    m, two, three = np.log(6) / 3, np.log(2), np.log(3)
    slope = -m * np.log(4) / (m**2 + (two - m) ** 2 + (three - m) ** 2)
    assert spectrum_slope(cross([4, 1, 1])).item() == pytest.approx(-slope, rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 15), st.integers(0, 2**31), st.data())
def test_matches_least_squares(d, seed, data):
    first = data.draw(st.integers(1, d - 2))
    last = data.draw(st.integers(first + 2, d))
    rng = np.random.default_rng(seed)
    array = rng.normal(size=(40, d)) * rng.uniform(0.1, 3, d) + rng.normal(size=d)
    points = torch.from_numpy(array)
    expected = reference.spectrum_slope(array, first, last)
    assert spectrum_slope(points, ranks=(first, last)).item() == pytest.approx(expected, abs=1e-8)
    shared = spectrum_from_moments(moments(points))
    assert spectrum_slope_from_spectrum(shared, ranks=(first, last)).item() == pytest.approx(
        expected, abs=1e-8
    )
    expected = reference.spectrum_slope(array, *slope_ranks(d))
    assert spectrum_slope(points).item() == pytest.approx(expected, abs=1e-8)


def test_the_default_range_leaves_out_the_first_twentieth_and_the_weaker_half():
    assert slope_ranks(768) == (39, 384)
    assert slope_ranks(100) == (6, 50)
    assert slope_ranks(20) == (2, 10)
    assert slope_ranks(7) == (1, 4)
    assert [slope_ranks(r) for r in (3, 4, 5)] == [(1, 3)] * 3
    for r in range(3, 200):
        first, last = slope_ranks(r)
        assert 1 <= first <= last - 2 <= r - 2


def test_an_outlier_and_the_weaker_half_are_not_seen():
    variances = power_law(40, 1)
    expected = spectrum_slope(cross(variances)).item()
    variances[0] *= 1000
    variances[20:] /= 50
    assert spectrum_slope(cross(variances)).item() == pytest.approx(expected)
    assert abs(spectrum_slope(cross(variances), ranks=(1, 40)).item() - expected) > 0.1


def test_the_default_range_finds_the_law_of_a_sample():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(2000, 256, dtype=torch.float64, generator=generator) * power_law(256, 0.5)
    assert spectrum_slope(points).item() == pytest.approx(1, abs=0.03)
    assert spectrum_slope(points, ranks=(1, 256)).item() > 1.06


def test_empty_directions_are_left_out():
    variances = torch.cat([power_law(10, 2), torch.zeros(10)])
    assert spectrum_slope(cross(variances)).item() == pytest.approx(2)
    assert spectrum_slope(cross(variances), ranks=(3, 20)).item() == pytest.approx(2)
    assert spectrum_slope(cross(variances), ranks=(8, 20)).item() == pytest.approx(2)  # 8, 9, 10
    assert spectrum_slope(cross(variances), ranks=(9, 20)).isnan()
    assert spectrum_slope(cross(variances), ranks=(15, 20)).isnan()


@pytest.mark.parametrize(("n", "d"), [(12, 4), (5, 7)])
def test_gradient(n, d):
    points = torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(spectrum_slope, points.requires_grad_())


def test_fewer_than_three_directions_have_no_slope():
    for points in (torch.ones(0, 3), torch.ones(1, 3), torch.full((9, 5), 0.1), cross([2, 1]), cross([1.0])):
        assert spectrum_slope(points).isnan()
        assert spectrum_slope_from_spectrum(spectrum(points)).isnan()
    assert not spectrum_slope(cross([3, 2, 1])).isnan()


@pytest.mark.parametrize("ranks", [(0, 5), (1, 2), (5, 3), (-1, 4)])
def test_ranks_that_can_not_be(ranks):
    with pytest.raises(ValueError, match=r"at least 3 ranks, counted from 1, got \("):
        spectrum_slope(cross([3, 2, 1]), ranks=ranks)
