import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import drift, mean_cosine, relative_drift
from conescope.measures.drift import drift_from_moments, relative_drift_from_moments
from conescope.scale.moments import merge, moments
from tests.reference import drift as reference


def normal(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_values_by_hand():
    points = torch.tensor([[1.0, 0], [1, 1], [0, 2]], dtype=torch.float64)
    # the mean is (2/3, 1), its length sqrt(4/9 + 1); the lengths are 1, sqrt(2), 2
    assert drift(points).item() == pytest.approx(math.sqrt(13) / 3, rel=1e-15)
    assert drift(points).item() == pytest.approx(1.201850, abs=1e-6)
    assert relative_drift(points).item() == pytest.approx(math.sqrt(13) / (3 + math.sqrt(2)), rel=1e-15)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([0.0, 1.0, 50.0]))
def test_matches_the_definition(n, d, seed, offset):
    points = normal(n, d, seed) + offset
    found = [drift(points).item(), relative_drift(points).item()]
    rows = points.tolist()
    assert found == pytest.approx([reference.drift(rows), reference.relative_drift(rows)], rel=1e-11)


def test_ends_of_the_range():
    ray = torch.tensor([[1.0, 2.0], [3.0, 6.0], [0.5, 1.0]], dtype=torch.float64)
    assert relative_drift(ray).item() == pytest.approx(1, rel=1e-15)
    assert relative_drift(torch.cat([ray, -ray])).item() == 0
    assert drift(torch.cat([ray, -ray])).item() == 0


def test_translation_by_the_mean_takes_all_of_it():
    points = normal(20, 5) + 3
    assert drift(points - points.mean(dim=0)).item() == pytest.approx(0, abs=1e-15)


def test_with_equal_norms_it_says_what_the_mean_cosine_says():
    points = torch.nn.functional.normalize(normal(9, 4) + 1, dim=1) * 7
    r, n = relative_drift(points), 9
    torch.testing.assert_close(mean_cosine(points), (n * r**2 - 1) / (n - 1))


@pytest.mark.parametrize(("n", "d"), [(25, 4), (100, 30)])
def test_isotropic_gaussian_gives_one_over_the_root_of_n(n, d):
    values = torch.stack([relative_drift(normal(n, d, seed)) for seed in range(400)])
    # lengths of the mean and of the points are chi distributed with the same d; 400 draws of sd 1/sqrt(2 d)
    assert values.mean().item() == pytest.approx(n**-0.5, rel=4 / math.sqrt(400 * 2 * d))


@pytest.mark.parametrize("unit", [2.0**-1060, 1e-250, 1e-20, 1e30, 1e250])
def test_drift_keeps_the_unit_of_the_points(unit):
    points = torch.tensor([[3.0, 0.0], [3.0, 8.0]], dtype=torch.float64)  # mean (3, 4)
    assert drift(points * unit).item() == pytest.approx(5 * unit, rel=1e-15)
    assert relative_drift(points * unit).item() == pytest.approx(10 / (3 + math.sqrt(73)), rel=1e-15)


def test_beyond_the_range_of_the_dtype_it_is_inf():
    points = torch.full((2, 4), 60000.0, dtype=torch.float16)  # length 120000
    assert drift(points).item() == math.inf
    assert relative_drift(points).item() == 1


@pytest.mark.parametrize("function", [drift, relative_drift])
def test_gradient(function):
    points = (normal(5, 3) + 0.5).requires_grad_()
    assert torch.autograd.gradcheck(function, points)


def test_gradient_in_an_extreme_unit():
    points = (normal(5, 3) + 0.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: drift(x * 2.0**-300) * 2.0**300, points)
    assert torch.autograd.gradcheck(lambda x: relative_drift(x * 2.0**-300), points)


def test_gradient_at_a_mean_of_zero_is_finite():
    points = torch.tensor([[1.0, 2.0], [-1.0, -2.0], [0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    (drift(points) + relative_drift(points)).backward()
    assert (points.grad == 0).all()


def test_finish_of_merged_moments_is_the_function():
    points = normal(30, 4) + 0.3
    parts = merge(moments(points[:7], order=1), moments(points[7:], order=1))
    torch.testing.assert_close(drift_from_moments(parts), drift(points))
    torch.testing.assert_close(relative_drift_from_moments(parts), relative_drift(points))


def test_a_zero_vector_counts_as_a_point():
    points = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert drift(points).item() == 2.5
    assert relative_drift(points).item() == 1


def test_undefined_and_smallest_clouds():
    assert drift(torch.ones(0, 3)).isnan()
    assert relative_drift(torch.ones(0, 3)).isnan()
    assert drift(torch.zeros(4, 3)).item() == 0
    assert relative_drift(torch.zeros(4, 3)).isnan()
    assert drift(torch.tensor([[3.0, 4.0]])).item() == 5
    assert relative_drift(torch.tensor([[3.0, 4.0]])).item() == 1
    assert drift(torch.tensor([[2.0], [-1.0]])).item() == 0.5
    assert relative_drift(torch.tensor([[2.0], [-1.0]])).item() == pytest.approx(1 / 3)
