"""Unit vectors and their gradient, against the same in plain steps, and where there is no direction."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from conescope.losses.directions import unit_vectors


def cloud(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def units(points):
    return unit_vectors(points)[0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 6), st.integers(1, 5), st.integers(0, 2**31))
def test_value_and_gradient_are_those_of_a_division_by_the_norm(n, d, seed):
    points, weights = cloud(n, d, seed=seed), cloud(n, d, seed=seed + 1)
    found, true = points.clone().requires_grad_(), points.clone().requires_grad_()
    expected = true / true.square().sum(dim=1, keepdim=True).sqrt()
    assert_close(units(found), expected)
    (units(found) * weights).sum().backward()
    (expected * weights).sum().backward()
    assert_close(found.grad, true.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("function", [units, torch.vmap(units)], ids=["one", "many"])
def test_gradients_of_first_and_second_order(function):
    points = cloud(2, 4, 3) if function is not units else cloud(4, 3)
    assert torch.autograd.gradcheck(function, points.requires_grad_())
    assert torch.autograd.gradgradcheck(function, points)


def test_zero_vectors_stay_zero_and_move_nothing():
    points = torch.tensor([[0.0, 0.0], [1e-25, -1e-25], [3.0, 4.0]], requires_grad=True)
    found, has_direction = unit_vectors(points)
    assert has_direction.tolist() == [False, False, True]
    assert found[:2].eq(0).all()
    assert_close(found[2].detach(), torch.tensor([0.6, 0.8]))
    found.sum().backward()
    assert points.grad[:2].eq(0).all()
    assert_close(points.grad[2], torch.tensor([0.032, -0.024]))  # ((1, 1) - u <u, (1, 1)>) / 5


@pytest.mark.parametrize("size", [1e-18, 1e-6, 1e30, 3e38])
def test_no_size_leaves_the_range(size):
    points = (torch.tensor([[1.0, 0.5, -1.0]]) * size).requires_grad_()
    found = units(points)
    assert_close(found.detach(), torch.tensor([[2.0, 1.0, -2.0]]) / 3)
    found[0, 0].backward()
    assert points.grad.isfinite().all()
    assert_close(points.grad * size, torch.tensor([[10.0, -4.0, 8.0]]) / 27, rtol=1e-4, atol=0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_row_that_is_not_finite_is_nan_and_others_are_not(bad):
    points = torch.tensor([[bad, 1.0], [3.0, 4.0]], requires_grad=True)
    found = units(points)
    assert found[0].isnan().all()
    assert_close(found[1].detach(), torch.tensor([0.6, 0.8]))
    found.sum().backward()
    assert points.grad[0].isnan().all()
    assert points.grad[1].isfinite().all()


def test_rows_that_are_not_contiguous_and_the_number_type():
    wide = cloud(3, 8, dtype=torch.float32).T
    assert units(wide).dtype == torch.float32
    assert_close(units(wide), units(wide.contiguous()))
    assert not units(wide).requires_grad


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiled(without_shape_checks):
    torch.compiler.reset()
    points = cloud(4, 3, dtype=torch.float32)
    assert_close(torch.compile(units, backend="eager", fullgraph=True)(points), units(points))
