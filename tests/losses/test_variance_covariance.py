import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.losses.off_diagonal import off_diagonal_squares
from conescope.losses.variance_covariance import VarianceCovarianceLoss, variance_covariance_loss
from tests.reference import losses_variance_covariance as reference


def cloud(count, dim, seed=0, dtype=torch.float64):
    return torch.randn(count, dim, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def test_value_by_hand():
    # C = [[2, 2], [2, 2]]: (4 + 4) / 2, and sqrt(2.0001) is more than 1
    assert variance_covariance_loss(torch.tensor([[1.0, 1.0], [-1.0, -1.0]])).item() == pytest.approx(4.0)
    # variances 0.02 and 0, covariance 0: 25 (1 - sqrt(0.0201) + 1 - 0.01) / 2
    points = torch.tensor([[0.1, 3.0], [-0.1, 3.0]], dtype=torch.float64)
    expected = 12.5 * (2 - math.sqrt(0.0201) - 0.01)
    assert variance_covariance_loss(points).item() == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 20), st.integers(1, 20), st.floats(0, 2))
def test_matches_the_definition_with_few_and_many_dimensions(seed, n, d, target):
    points = np.random.default_rng(seed).normal(size=(n, d)) * 0.8 + 3
    tensor = torch.from_numpy(points)
    variance = variance_covariance_loss(tensor, covariance_weight=0.0, target=target).item()
    covariance = variance_covariance_loss(tensor, variance_weight=0.0).item()
    assert variance == pytest.approx(25 * reference.variance_term(points, target), abs=1e-9)
    assert covariance == pytest.approx(reference.covariance_term(points), abs=1e-9)
    both = variance_covariance_loss(tensor, variance_weight=2.0, covariance_weight=3.0, target=target).item()
    assert both == pytest.approx(2 * variance / 25 + 3 * covariance)


def test_two_calls_with_halved_variance_and_the_squared_difference_are_vicreg():
    one, two = cloud(12, 5).numpy(), cloud(12, 5, seed=1).numpy()
    variance = (reference.variance_term(one) + reference.variance_term(two)) / 2
    covariance = reference.covariance_term(one) + reference.covariance_term(two)
    views = [variance_covariance_loss(torch.from_numpy(v), variance_weight=12.5) for v in (one, two)]
    assert sum(views).item() == pytest.approx(25 * variance + covariance)


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (6, 6)])
def test_gradient(shape):
    points = (0.3 * cloud(*shape)).requires_grad_()
    assert torch.autograd.gradcheck(variance_covariance_loss, points)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 12), st.integers(1, 12))
def test_translation_does_not_change_it_and_it_is_not_negative(seed, n, d):
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(rng.normal(size=(n, d)))
    loss = variance_covariance_loss(points)
    assert loss >= 0
    torch.testing.assert_close(
        variance_covariance_loss(points + 5 * torch.from_numpy(rng.normal(size=d))), loss
    )


def test_the_gram_matrix_does_not_leave_a_negative_rest():
    points = torch.zeros(3, 8)
    points[0, 0], points[1, 0] = 0.3, -0.7  # one coordinate varies: nothing off the diagonal
    assert variance_covariance_loss(points, variance_weight=0.0).item() == pytest.approx(0, abs=1e-7)
    squares, diagonal = off_diagonal_squares(points, points)
    assert squares >= 0
    torch.testing.assert_close(diagonal, torch.tensor([0.58, 0, 0, 0, 0, 0, 0, 0]))


def test_a_collapse_is_finite_and_the_least_difference_opens_it():
    points = torch.full((6, 3), 0.1, requires_grad=True)
    loss = variance_covariance_loss(points)
    loss.backward()
    assert loss.item() == pytest.approx(25 * 0.99)
    assert points.grad.eq(0).all()
    nearly = (torch.ones(6, 3, dtype=torch.float64) + 1e-6 * cloud(6, 3)).requires_grad_()
    variance_covariance_loss(nearly).backward()
    away = nearly - nearly.mean(dim=0)  # the gradient is -25 / (d (n - 1) 0.01) of it
    torch.testing.assert_close(nearly.grad, -25 / (3 * 5 * 0.01) * away.detach(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_points_give_zero_and_no_gradient(count):
    points = torch.ones(count, 3, requires_grad=True)
    loss = variance_covariance_loss(points)
    loss.backward()
    assert loss == 0
    assert points.grad.eq(0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("shape", [(8, 3), (3, 8), (1, 2)])
def test_a_point_that_is_not_finite_makes_the_loss_nan(bad, shape):
    points = cloud(*shape)
    points[0, 1] = bad
    assert variance_covariance_loss(points).isnan()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("shape", [(24, 8), (8, 24)])
def test_is_computed_in_float32_under_autocast(dtype, shape):
    points = cloud(*shape).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = variance_covariance_loss(points)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(variance_covariance_loss(points.double()).item(), rel=1e-5)


def test_module_equals_function():
    points, labels = cloud(12, 4), torch.arange(12) % 3
    module = VarianceCovarianceLoss(weight=0.3, variance_weight=2.0, covariance_weight=0.5, target=0.7)
    expected = variance_covariance_loss(points, variance_weight=2.0, covariance_weight=0.5, target=0.7)
    torch.testing.assert_close(module(points, labels), 0.3 * expected)
    settings = "weight=0.3, variance_weight=2.0, covariance_weight=0.5, target=0.7"
    assert repr(module) == f"VarianceCovarianceLoss({settings})"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"target": -1.0}, "target is a standard deviation, finite and not negative, got -1"),
        ({"variance_weight": math.inf}, "variance_weight must be finite"),
        ({"covariance_weight": math.nan}, "covariance_weight must be finite"),
    ],
)
def test_bad_settings_are_named(setting, message):
    with pytest.raises(ValueError, match=message):
        variance_covariance_loss(cloud(4, 2), **setting)
