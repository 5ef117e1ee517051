import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import differential_entropy as scipy_entropy

from conescope.measures import gaussian_vrm, vrm
from conescope.measures.spectrum import Spectrum
from conescope.measures.vrm import (
    LARGEST_RATIO,
    differential_entropy,
    gaussian_vrm_from_spectrum,
    greatest_vrm,
    vasicek_ratios,
)
from tests.reference import vrm as reference


def normal(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n", [5, 6, 7, 10, 11, 12, 99, 1000, 1001, 2500])
def test_entropy_is_the_one_of_scipy(n):
    columns = np.random.default_rng(n).normal(size=(n, 3)) * [1, 5, 0.01] + [0, 3, 1]
    np.testing.assert_allclose(
        differential_entropy(torch.from_numpy(columns)).numpy(), scipy_entropy(columns, axis=0), rtol=1e-12
    )


def test_entropy_of_the_first_integers():
    # n = 20, m = 4: twelve inner spacings 8 give ln(20 / 8 * 8) = ln 20; the outer ones have the spacing
    # 4 + j and the weight 1 + j / 4, j = 0..3: ln(20 / (4 + j) * (4 + j)) = ln 20 as well
    found = differential_entropy(torch.arange(1.0, 21, dtype=torch.float64)[:, None])
    assert found.item() == pytest.approx(math.log(20), rel=1e-14)


def test_entropy_of_few_values_by_hand():
    # n = 5, m = 2: three spacings 2 give ln(6 / 2 * 2); 1/2 + 1/3 + 1/4 + 1/5 + ln 2 - ln 6
    found = differential_entropy(torch.arange(5, dtype=torch.float64)[:, None])
    assert found.item() == pytest.approx(math.log(6) + 77 / 60 + math.log(2 / 6), rel=1e-14)


def test_entropy_of_a_constant_window_is_minus_infinity():
    columns = torch.tensor(
        [[0.0, 0], [0, 1], [0, 2], [1, 3], [2, 4]], dtype=torch.float64, requires_grad=True
    )
    found = differential_entropy(columns)
    assert found[0] == -math.inf
    found.exp().sum().backward()
    assert (columns.grad[:, 0] == 0).all()
    assert (columns.grad[:, 1] != 0).any()


@pytest.mark.parametrize(
    ("variances", "expected"),
    [
        ((4, 3, 2, 1), 0.056381),  # 2 - 2 (2 + sqrt 3 + sqrt 2 + 1) / sqrt 40
        ((3, 1), 0.068148),  # 2 - 2 (sqrt 3 + 1) / sqrt 8
        ((1, 0, 0, 0), 1),  # (1 - 2)^2 / 4 + 3 / 4
        ((1, 1, 1), 0),
    ],
)
def test_gaussian_closed_form(variances, expected):
    squares = torch.tensor(variances, dtype=torch.float64)
    found = gaussian_vrm_from_spectrum(Spectrum(squares, 100, len(variances)))
    assert found.item() == pytest.approx(expected, abs=1e-6)
    assert found.item() == pytest.approx(reference.gaussian_vrm(list(variances)), abs=1e-14)


@pytest.mark.parametrize("variances", [(4, 3, 2, 1), (3, 1), (1, 0, 0, 0), (0, 1e-3, 1)])
def test_gaussian_clouds_approach_the_closed_form(variances):
    points = normal(8000, len(variances)) * torch.tensor(variances, dtype=torch.float64).sqrt()
    assert vrm(points).item() == pytest.approx(reference.gaussian_vrm(list(variances)), abs=0.01)
    assert gaussian_vrm(points).item() == pytest.approx(vrm(points).item(), abs=0.004)


@settings(max_examples=25, deadline=None)
@given(st.integers(5, 30), st.integers(1, 12), st.integers(0, 2**31))
def test_matches_the_definition(n, d, seed):
    rng = np.random.default_rng(seed)
    array = rng.normal(size=(n, d)) ** 3 * rng.uniform(0.1, 3, d) + rng.normal(size=d)
    assert vrm(torch.from_numpy(array)).item() == pytest.approx(reference.vrm(array), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("n", [1000, 1001])
def test_matches_the_definition_where_the_estimator_changes(n):
    array = np.random.default_rng(n).uniform(size=(n, 3))
    assert vrm(torch.from_numpy(array)).item() == pytest.approx(reference.vrm(array), rel=1e-9)


def test_one_dimension_by_hand():
    # -2..2 have the variance 5/2, so the scores are the integers times sqrt(2/5), and so is exp(H)
    entropy = math.log(6) + 77 / 60 + math.log(2 / 6) + math.log(2 / 5) / 2
    ratio = math.exp(entropy) / math.sqrt(2 * math.pi * math.e)
    assert vrm(torch.arange(5, dtype=torch.float64)[:, None] * 7).item() == pytest.approx((1 - ratio) ** 2)


def test_clusters_come_out_far_above_a_gaussian_with_their_spectrum():
    corners = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64)
    points = corners.repeat_interleave(250, 0) * torch.tensor([1, 1.1]) + 0.01 * normal(1000, 2)
    assert gaussian_vrm(points) < 0.01
    assert vrm(points) > 0.5


def test_an_added_constant_column_has_ratio_zero():
    points = normal(9, 3)
    padded = torch.cat([points, torch.ones(9, 8, dtype=torch.float64)], dim=1)  # now n < d
    ratios = [math.sqrt(11 / 3) * ratio for ratio in reference.ratios(points.numpy())]
    expected = (sum((1 - ratio) ** 2 for ratio in ratios) + 8) / 11
    assert vrm(padded).item() == pytest.approx(expected)


def largest_ratio(n):
    """The most that exp(H) can be at variance 1: a concave problem in the sorted values, so climb."""
    middle = torch.linspace(-1, 1, n - 1, dtype=torch.float64)
    gaps = middle.square().requires_grad_()  # wider gaps at the ends
    climb = torch.optim.LBFGS([gaps], max_iter=300, line_search_fn="strong_wolfe")

    def loss():
        climb.zero_grad()
        values = torch.cat([torch.zeros(1), gaps.exp().cumsum(0)])
        loss = -differential_entropy((values / values.std())[:, None]).sum()
        loss.backward()
        return loss

    climb.step(loss)
    return math.exp(-loss().item()) / math.sqrt(2 * math.pi * math.e)


@pytest.mark.parametrize("n", [5, 6, 10, 11, 40])
def test_no_sample_reaches_the_largest_ratio(n):
    assert 0.8 < largest_ratio(n) < LARGEST_RATIO


def test_bound_of_gaussians_lies_below_the_greatest_value():
    assert all(2 - 2 / math.sqrt(d) < greatest_vrm(d) for d in range(1, 2000))


def test_equal_variances_have_a_finite_gradient():
    axes = torch.eye(4, dtype=torch.float64) * torch.tensor([2.0, 1, 1, 1])
    points = torch.cat([axes, -axes, 3 * axes]).requires_grad_()
    vrm(points).backward()
    assert torch.isfinite(points.grad).all()


@pytest.mark.parametrize(("n", "d"), [(12, 4), (6, 9)])
def test_gradient_at_a_strided_view(n, d):
    wide = normal(n, 2 * d).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: vrm(x[:, ::2]), wide)


def test_repeated_points():
    points = normal(4, 3).repeat(3, 1)  # three of each of four; the shortest window has four values
    assert vrm(points).item() == pytest.approx(reference.vrm(points.numpy()), rel=1e-9)
    points = normal(4, 3).repeat(9, 1).requires_grad_()  # windows of seven: all ratios are 0
    assert vrm(points).item() == 1
    vrm(points).backward()
    assert (points.grad == 0).all()


def test_ratios_are_of_the_strongest_direction_first():
    points = normal(300, 4) * torch.tensor([1.0, 9, 3, 0])
    found = vasicek_ratios(points)
    np.testing.assert_allclose(found.numpy(), reference.ratios(points.numpy()), rtol=1e-9)
    assert found[0] > found[1] > found[2] > found[3] == 0
    assert vasicek_ratios(points.half()).dtype == torch.float16
    assert vasicek_ratios(points[:4]).isnan().all()


def test_without_spread_or_with_few_points_it_is_nan():
    assert vrm(torch.full((6, 3), 0.1)).isnan()
    assert vrm(normal(4, 3)).isnan()
    assert vrm(torch.ones(1, 3)).isnan()
    assert vrm(torch.ones(0, 3)).isnan()
    assert gaussian_vrm_from_spectrum(Spectrum(torch.zeros(3, dtype=torch.float64), 5, 3)).isnan()
    assert gaussian_vrm(torch.ones(0, 3)).isnan()
