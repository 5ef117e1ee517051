import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.losses import OnSphere, PersistentEntropyLoss


def cloud(count, dim, seed=0):
    return torch.randn(count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def mean_square(points, labels=None):
    """The squared length of the mean; on the sphere, the average of all cosines."""
    return points.mean(0).square().sum()


def test_value_by_hand():
    points = torch.tensor([[3.0, 4.0], [0.0, 2.0], [0.0, 0.0]])  # directions (.6, .8), (0, 1), none
    assert OnSphere(mean_square)(points).item() == pytest.approx((0.36 + 1.8**2) / 9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_lengths_do_not_count_and_no_gradient_goes_along_a_point(seed):
    points = cloud(12, 4, seed).requires_grad_()
    lengths = cloud(12, 1, seed + 1).exp()
    loss = OnSphere(mean_square)(points)
    torch.testing.assert_close(OnSphere(mean_square)(points.detach() * lengths), loss.detach())
    loss.backward()
    along = (points.grad * points.detach()).sum(1)
    torch.testing.assert_close(along, torch.zeros_like(along), rtol=0, atol=1e-12)


def test_gradient():
    assert torch.autograd.gradcheck(OnSphere(mean_square), cloud(7, 3).requires_grad_())


def test_a_zero_vector_gets_no_gradient_and_the_others_theirs():
    points = cloud(6, 3)
    points[2] = 0
    points.requires_grad_()
    OnSphere(lambda p, _: (p - 1).square().sum())(points).backward()
    assert points.grad[2].eq(0).all()
    assert points.grad.isfinite().all()
    assert points.grad.abs().sum(1).gt(0).sum() == 5


@pytest.mark.parametrize("scale", [1e-15, 1e25])
def test_squares_neither_overflow_nor_vanish(scale):
    points = cloud(6, 3).float()
    torch.testing.assert_close(OnSphere(mean_square)(scale * points), OnSphere(mean_square)(points))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_equal_points_have_a_finite_loss_and_gradient(count):
    points = torch.ones(count, 3, dtype=torch.float64).requires_grad_()
    loss = OnSphere(mean_square)(points)
    loss.backward()
    assert loss.item() == pytest.approx(1)
    assert points.grad.isfinite().all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_point_that_is_not_finite_makes_the_loss_nan(bad):
    points = cloud(6, 3)
    points[1, 1] = bad
    assert OnSphere(mean_square)(points).isnan()


def test_no_points():
    points = cloud(0, 3).requires_grad_()
    loss = OnSphere(PersistentEntropyLoss())(points)
    loss.backward()
    assert loss == 0


def test_labels_and_observations_pass_through():
    points, labels = cloud(20, 3), torch.tensor([0] * 17 + [1] * 3)
    module = OnSphere(PersistentEntropyLoss())
    unit = points / points.norm(dim=1, keepdim=True)
    torch.testing.assert_close(module(points, labels), PersistentEntropyLoss()(unit, labels))
    assert module.observed["classes_skipped"] == 1


def test_half_precision_is_computed_in_float32_under_autocast():
    points = cloud(24, 8).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = OnSphere(mean_square)(points)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(OnSphere(mean_square)(points.double()).item(), rel=1e-5)
