import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.losses.cross_correlation import CrossCorrelationLoss, cross_correlation_loss
from tests.reference import losses_cross_correlation as reference


def cloud(count, dim, seed=0, dtype=torch.float64):
    return torch.randn(count, dim, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def test_value_by_hand():
    # variances are 10^4, so C is, but for 1e-9, [[1, 0], [0, 1]] for equal views, and -1 where one is turned
    first = 100 * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    assert cross_correlation_loss(first, partners=first).item() == pytest.approx(0, abs=1e-8)
    turned = first * torch.tensor([1.0, -1.0])
    assert cross_correlation_loss(first, partners=turned).item() == pytest.approx(4)  # (1 + 1)^2
    # the coordinates change places: C = [[0, 1], [1, 0]], 1 + 1 + 0.005 (1 + 1)
    assert cross_correlation_loss(first, partners=first.flip(1)).item() == pytest.approx(2.01)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 12), st.integers(1, 12), st.floats(0, 1))
def test_matches_the_paper_with_few_and_many_dimensions(seed, n, d, off_diagonal):
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(n, d))
    second = first + rng.normal(size=(n, d))
    one, two = torch.from_numpy(first), torch.from_numpy(second)
    found = cross_correlation_loss(one, partners=two, off_diagonal=off_diagonal).item()
    assert found == pytest.approx(reference.barlow_twins(first, second, off_diagonal), abs=1e-8)
    assert 0 <= found <= d * (4 + off_diagonal * (d - 1))


def test_labels_name_the_views_and_negative_ones_are_left_out():
    first, second = cloud(4, 3), cloud(4, 3, seed=1)
    expected = cross_correlation_loss(first, partners=second)
    alone = 50 * cloud(3, 3, seed=2)
    points = torch.cat([alone[:1], first, alone[1:2], second[[2, 0, 3, 1]], alone[2:]])
    labels = torch.tensor([-1, 7, 3, 9, 0, -100, 9, 7, 0, 3, -1])
    torch.testing.assert_close(cross_correlation_loss(points, labels), expected)


@pytest.mark.parametrize("shape", [(7, 4), (4, 7)])
def test_gradient(shape):
    first, second = cloud(*shape).requires_grad_(), cloud(*shape, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: cross_correlation_loss(a, partners=b), (first, second))
    labels = torch.tensor([0, 1, 1, -1, 0, 2, 2, -1])
    points = cloud(8, shape[1]).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: cross_correlation_loss(p, labels), points)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(3, 12), st.integers(1, 12))
def test_translation_and_the_unit_of_a_coordinate_do_not_matter(seed, n, d):
    rng = np.random.default_rng(seed)
    first, second = torch.from_numpy(100 * rng.normal(size=(2, n, d)))
    units, shift = torch.from_numpy(rng.uniform(1, 10, size=d)), torch.from_numpy(rng.normal(size=d))
    expected = cross_correlation_loss(first, partners=second)
    found = cross_correlation_loss(first * units + shift, partners=second)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_collapse_is_finite_and_has_gradient_zero():
    points = torch.full((8, 5), 0.1, requires_grad=True)
    loss = cross_correlation_loss(points, torch.arange(8) // 2)
    loss.backward()
    assert loss == 5
    assert points.grad.eq(0).all()


@pytest.mark.parametrize(
    "labels", [[], [-1], [0, 0], [-1, -1, -2, -2], [-1, 4, 4, -1, -1], [-1, -1, -1, -1, -1]]
)
def test_fewer_than_two_examples_give_zero_and_no_gradient(labels):
    points = cloud(len(labels), 3).requires_grad_()
    loss = cross_correlation_loss(points, torch.tensor(labels, dtype=torch.int64))
    loss.backward()
    assert loss == 0
    assert points.grad.eq(0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("view", [0, 1])
def test_a_value_that_is_not_finite_makes_the_loss_nan(bad, view):
    views = [cloud(6, 3), cloud(6, 3, seed=1)]
    views[view][4, 1] = bad
    assert cross_correlation_loss(views[0], partners=views[1]).isnan()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("shape", [(24, 8), (8, 24)])
def test_is_computed_in_float32_under_autocast(dtype, shape):
    first, second = cloud(*shape).to(dtype), cloud(*shape, seed=1).to(dtype)
    expected = cross_correlation_loss(first.double(), partners=second.double()).item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = cross_correlation_loss(first, partners=second)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_module_equals_function():
    points, labels = cloud(12, 4), torch.arange(12) % 6
    module = CrossCorrelationLoss(weight=0.3, off_diagonal=0.1)
    expected = 0.3 * cross_correlation_loss(points[:6], partners=points[6:], off_diagonal=0.1)
    torch.testing.assert_close(module(points, labels), expected)
    torch.testing.assert_close(module(points[:6], partners=points[6:]), expected)
    assert repr(module) == "CrossCorrelationLoss(weight=0.3, off_diagonal=0.1)"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 0, 1, 1, 2, -1], "2 occurs 1 times"),
        ([0, 0, 0, 0, 1, 1], "0 occurs 4 times"),
        ([0, 1, 1, 1, 0, -1], "1 occurs 3 times"),
        ([5, 1, 2, 3, 4, 0], "0 occurs 1 times"),
        ([0, 0, 0, 1, 1, 1], "0 occurs 3 times"),
    ],
)
def test_labels_that_do_not_make_pairs_are_named(labels, message):
    with pytest.raises(ValueError, match=f"each label must occur exactly twice.*{message}"):
        cross_correlation_loss(cloud(6, 2), torch.tensor(labels))


@pytest.mark.usefixtures("without_shape_checks")
def test_bad_arguments_are_named():
    points, labels = cloud(4, 2), torch.tensor([0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"give labels.*or partners.*got neither"):
        cross_correlation_loss(points)
    with pytest.raises(ValueError, match="got both"):
        cross_correlation_loss(points, labels, partners=points)
    with pytest.raises(ValueError, match=r"expected shape \(4, 2\), got \(3, 2\)"):
        cross_correlation_loss(points, partners=points[:3])
    with pytest.raises(ValueError, match="off_diagonal must be finite"):
        cross_correlation_loss(points, labels, off_diagonal=math.inf)
