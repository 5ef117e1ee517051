import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from conescope.measures import condition_number, variance_ratio
from conescope.measures.condition_number import condition_number_from_spectrum, variance_ratio_from_spectrum
from conescope.measures.spectrum import Spectrum, spectrum, spectrum_from_moments
from conescope.scale.moments import moments
from tests.reference import condition_number as reference


def cross(*variances):
    axes = torch.diag(torch.tensor(variances, dtype=torch.float64).sqrt())
    return torch.cat([axes, -axes])


def cloud(n, d, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * rng.uniform(0.01, 3, d) + rng.normal(size=d)


@pytest.mark.parametrize(
    ("variances", "expected"), [((4, 3, 2, 1), 4), ((10, 1, 1), 10), ((2, 2, 2), 1), ((1e6, 1), 1e6)]
)
def test_by_hand(variances, expected):
    points = cross(*variances) + 7
    assert condition_number(points).item() == pytest.approx(expected, rel=1e-9)
    assert variance_ratio(points).item() == pytest.approx(1 / expected, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 20), st.integers(1, 20), st.integers(0, 2**31))
def test_matches_the_definition(n, d, seed):
    array = cloud(n, d, seed)
    points = torch.from_numpy(array)
    found, expected = condition_number(points).item(), reference.condition_number(array)
    if expected < 1e9:
        assert found == pytest.approx(expected, rel=1e-5)
    assert variance_ratio(points).item() == pytest.approx(
        reference.variance_ratio(array), rel=1e-5, abs=1e-12
    )


def test_agrees_with_a_pca():
    array = cloud(60, 9, 4)
    variances = PCA().fit(array).explained_variance_
    points = torch.from_numpy(array)
    assert variance_ratio(points).item() == pytest.approx(variances[-1] / variances[0])
    assert condition_number(points).item() == pytest.approx(variances[0] / variances[-1])


def test_fewer_points_than_dimensions_leave_n_minus_1_directions_and_an_empty_component():
    # a triangle with sides along e_1 and e_2: centered squares 3/2 and 1/2, whatever the dimension
    triangle = torch.zeros(3, 9, dtype=torch.float64)
    triangle[1, 0] = triangle[2, 1] = 1
    assert condition_number(triangle).item() == pytest.approx(3)
    assert variance_ratio(triangle).item() == 0
    assert variance_ratio(triangle[:, :2]).item() == pytest.approx(1 / 3)  # n > d


@pytest.mark.parametrize("d", [3, 40])
def test_rounding_is_not_taken_for_a_direction(d):
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    flat = rng.normal(size=(100, d))
    flat[:, 0] = 0
    points = torch.from_numpy(flat @ turn + 5)
    assert condition_number(points).isnan()
    assert variance_ratio(points).item() == 0
    # what is left of the empty direction in n <= d points is rounding too
    assert variance_ratio_from_spectrum(Spectrum(torch.tensor([2.0, 1.0, 1e-9]).double(), 3, 9)).item() == 0


@pytest.mark.parametrize("read", [condition_number_from_spectrum, variance_ratio_from_spectrum])
def test_finish_of_moments(read):
    function = {
        condition_number_from_spectrum: condition_number,
        variance_ratio_from_spectrum: variance_ratio,
    }[read]
    points = torch.from_numpy(cloud(40, 6, 5))
    assert read(spectrum_from_moments(moments(points))).item() == pytest.approx(function(points).item())
    assert read(spectrum(points)).item() == function(points).item()


@pytest.mark.parametrize("function", [condition_number, variance_ratio])
def test_gradient(function):
    points = torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(function, points.requires_grad_())


def test_gradient_of_few_points():
    points = torch.randn(
        5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    ).requires_grad_()
    assert torch.autograd.gradcheck(condition_number, points)
    variance_ratio(points).backward()  # constant
    torch.testing.assert_close(points.grad, torch.zeros_like(points))


def test_repeated_points_leave_a_direction_empty():
    points = torch.from_numpy(cloud(3, 5, 6)).repeat(2, 1)  # 2 directions, where 5 could be
    assert condition_number(points).isnan()
    assert variance_ratio(points).item() == 0


@pytest.mark.parametrize("function", [condition_number, variance_ratio])
def test_without_spread_it_is_nan(function):
    for points in (torch.full((5, 3), 0.1), torch.zeros(5, 3), torch.ones(1, 3), torch.ones(0, 3)):
        assert function(points).isnan()


def test_one_dimension_has_one_variance():
    points = torch.tensor([[1.0], [2.0], [5.0]])
    assert condition_number(points).item() == variance_ratio(points).item() == 1


def test_two_points_have_one_direction():
    points = torch.tensor([[1.0, 2.0, 3.0], [4.0, 0.0, 1.0]])
    assert condition_number(points).item() == 1
    assert variance_ratio(points).item() == 0


def test_never_infinite():
    strengths = torch.logspace(0, -9, 10, dtype=torch.float64)
    points = torch.cat([torch.diag(strengths), -torch.diag(strengths)])
    assert condition_number(points).isnan()  # 1e18 is beyond float64
    assert not math.isinf(condition_number(points[:, :6]).item())
    assert condition_number(points[:, :6]).item() == pytest.approx(1e10, rel=1e-4)
