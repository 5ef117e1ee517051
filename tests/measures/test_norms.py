import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import mean_norm, norm_variation
from conescope.measures.norms import mean_norm_from_moments, norm_variation_from_moments
from conescope.measures.rows.cosine import ROWS
from conescope.scale.moments import merge, moments
from tests.reference import norms as reference


def normal(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_values_by_hand():
    points = torch.tensor([[1.0, 0], [1, 1], [0, 2]], dtype=torch.float64)  # lengths 1, sqrt(2), 2
    assert mean_norm(points).item() == pytest.approx(1.471405, abs=1e-6)
    assert mean_norm(points).item() == pytest.approx((3 + math.sqrt(2)) / 3, rel=1e-15)
    # mean of squares (1 + 2 + 4) / 3, minus the square of the mean
    deviation = math.sqrt(7 / 3 - (3 + math.sqrt(2)) ** 2 / 9)
    assert norm_variation(points).item() == pytest.approx(deviation / ((3 + math.sqrt(2)) / 3), rel=1e-14)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([0.0, 1.0, 50.0]))
def test_matches_the_definition(n, d, seed, offset):
    points = normal(n, d, seed) + offset
    rows = points.tolist()
    assert mean_norm(points).item() == pytest.approx(reference.mean_norm(rows), rel=1e-12)
    assert norm_variation(points).item() == pytest.approx(reference.norm_variation(rows), abs=1e-11)


def test_points_on_a_sphere_do_not_vary():
    assert norm_variation(torch.tensor([[3.0, 4.0], [5.0, 0.0], [0.0, -5.0]])).item() == 0


@pytest.mark.parametrize("n", [1, 2, 9])
def test_one_point_among_zeros_is_the_greatest_variation(n):
    points = torch.zeros(n, 3)
    points[0, 1] = 6.0  # mean 6/n, mean square 36/n: variation sqrt(n - 1)
    assert norm_variation(points).item() == pytest.approx(math.sqrt(n - 1))
    assert mean_norm(points).item() == pytest.approx(6 / n)


@pytest.mark.parametrize(("n", "d"), [(10, 1), (30, 2), (20, 50)])
def test_isotropic_value_of_the_row(n, d):
    row = next(row for row in ROWS if row.name == "norm_variation")
    values = torch.stack([norm_variation(normal(n, d, seed)) for seed in range(400)])
    assert row.isotropic(n, d) == pytest.approx(values.square().mean().sqrt().item(), rel=0.04)
    assert row.isotropic(0, d) is None


def test_isotropic_value_of_one_dimension():
    row = next(row for row in ROWS if row.name == "norm_variation")
    # |x| of a standard normal has mean sqrt(2/pi) and mean square 1
    assert row.isotropic(10**12, 1) == pytest.approx(math.sqrt(math.pi / 2 - 1))


@pytest.mark.parametrize("unit", [2.0**-1060, 1e-250, 1e-20, 1e30, 1e250])
def test_mean_norm_keeps_the_unit_of_the_points(unit):
    points = torch.tensor([[3.0, 4.0], [0.0, 8.0]], dtype=torch.float64)
    assert mean_norm(points * unit).item() == pytest.approx(6.5 * unit, rel=1e-15)
    assert norm_variation(points * unit).item() == pytest.approx(1.5 / 6.5, rel=1e-15)


def test_beyond_the_range_of_the_dtype_it_is_inf():
    points = torch.full((2, 4), 60000.0, dtype=torch.float16)  # length 120000
    assert mean_norm(points).item() == math.inf
    assert norm_variation(points).item() == 0


@pytest.mark.parametrize("function", [mean_norm, norm_variation])
def test_gradient(function):
    points = (normal(5, 3) + 0.5).requires_grad_()
    assert torch.autograd.gradcheck(function, points)


def test_gradient_in_an_extreme_unit():
    points = (normal(5, 3) + 0.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: mean_norm(x * 2.0**-300) * 2.0**300, points)
    assert torch.autograd.gradcheck(lambda x: norm_variation(x * 2.0**-300), points)


def test_gradient_is_finite_on_a_sphere_and_at_zero():
    points = torch.tensor([[3.0, 4.0], [0.0, 5.0]], dtype=torch.float64, requires_grad=True)
    norm_variation(points).backward()
    assert (points.grad == 0).all()
    points = torch.tensor([[3.0, 4.0], [0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    mean_norm(points).backward()
    # half of the unit vector, and nothing for the zero vector
    torch.testing.assert_close(points.grad, torch.tensor([[0.3, 0.4], [0, 0]], dtype=torch.float64))


def test_finish_of_merged_moments_is_the_function():
    points = normal(30, 4) + 0.3
    parts = merge(moments(points[:7], order=1), moments(points[7:], order=1))
    torch.testing.assert_close(mean_norm_from_moments(parts), mean_norm(points))
    torch.testing.assert_close(norm_variation_from_moments(parts), norm_variation(points))


def test_undefined_and_smallest_clouds():
    assert mean_norm(torch.ones(0, 3)).isnan()
    assert norm_variation(torch.ones(0, 3)).isnan()
    assert mean_norm(torch.zeros(4, 3)).item() == 0
    assert norm_variation(torch.zeros(4, 3)).isnan()
    assert mean_norm(torch.tensor([[-3.0]])).item() == 3
    assert norm_variation(torch.tensor([[-3.0]])).item() == 0
    assert norm_variation(torch.tensor([[-3.0], [1.0]])).item() == 0.5
