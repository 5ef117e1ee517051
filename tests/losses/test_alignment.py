import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.losses import AlignmentLoss, alignment_loss
from conescope.measures import alignment
from tests.reference.losses_alignment import alignment_loss as reference


def cloud(count, dim=4, seed=0):
    return torch.randn(count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_values_by_hand():
    # directions at 0, 60 and 180 degrees: distances 1, 2 and sqrt(3)
    points = torch.tensor([[5.0, 0], [1, math.sqrt(3)], [-2, 0]], dtype=torch.float64)
    one_class = torch.zeros(3, dtype=torch.int64)
    assert alignment_loss(points, one_class).item() == pytest.approx((1 + 4 + 3) / 3)
    assert alignment_loss(points, one_class, exponent=1.0).item() == pytest.approx((3 + math.sqrt(3)) / 3)
    assert alignment_loss(points, torch.tensor([4, 4, 9])).item() == pytest.approx(1)
    assert alignment_loss(points[:1], partners=points[2:]).item() == pytest.approx(4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.3, 4))
def test_labels_match_the_pairs(seed, exponent):
    rng = np.random.default_rng(seed)
    points, labels = rng.normal(size=(14, 4)), rng.integers(-1, 4, 14)  # some rows are unlabelled
    found = alignment_loss(torch.from_numpy(points), torch.from_numpy(labels), exponent=exponent)
    assert found.item() == pytest.approx(reference(points, labels, exponent), abs=1e-12)
    assert 0 <= found <= 2**exponent


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.3, 4))
def test_partners_are_labels_of_two_views_and_match_the_measure(seed, exponent):
    one, other = cloud(7, seed=seed), cloud(7, seed=seed + 1)
    found = alignment_loss(one, partners=other, exponent=exponent)
    stacked, labels = torch.cat([one, other]), torch.arange(7).repeat(2)
    torch.testing.assert_close(alignment_loss(stacked, labels, exponent=exponent), found)
    torch.testing.assert_close(alignment(one, other, exponent=exponent), found)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0, 3.0])
def test_gradient_of_both_ways(exponent):
    one, other = cloud(4).requires_grad_(), cloud(4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p, q: alignment_loss(p, partners=q, exponent=exponent), (one, other)
    )
    labels = torch.tensor([0, 0, 1, 0])
    assert torch.autograd.gradcheck(lambda p: alignment_loss(p, labels, exponent=exponent), one)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_equal_views_have_loss_zero_and_no_gradient(exponent):
    points = cloud(3).repeat(2, 1).requires_grad_()
    found = alignment_loss(points, torch.arange(3).repeat(2), exponent=exponent)
    found.backward()
    assert found == 0
    assert points.grad.eq(0).all()


def test_near_views_keep_their_digits_in_float32():
    one = cloud(5)
    other = one + 1e-5 * cloud(5, seed=1)
    expected = alignment_loss(one, partners=other, exponent=1.0).item()
    stacked = torch.cat([one, other]).float()
    found = alignment_loss(stacked, torch.arange(5).repeat(2), exponent=1.0).item()
    assert found == pytest.approx(
        expected, rel=0.02
    )  # squares of 1e-10 from cosines would be lost altogether


def test_pairs_with_a_zero_vector_are_left_out():
    points, labels = cloud(6), torch.tensor([0, 0, 1, 1, 2, 2])
    expected = alignment_loss(points[2:], labels[2:])
    points[0] = 0
    torch.testing.assert_close(alignment_loss(points, labels), expected)
    partners = points.flip(0)
    torch.testing.assert_close(
        alignment_loss(points, partners=partners), alignment_loss(points[1:-1], partners=partners[1:-1])
    )


def test_without_a_pair_the_loss_is_zero_with_gradient_zero():
    points = cloud(5).requires_grad_()
    for labels in (torch.arange(5), torch.full((5,), -100)):
        found = alignment_loss(points, labels)
        (gradient,) = torch.autograd.grad(found, points)
        assert found == 0
        assert gradient.eq(0).all()


def test_a_partner_that_is_not_finite_makes_the_loss_nan():
    partners = cloud(4)
    partners[2, 0] = math.nan
    assert alignment_loss(cloud(4), partners=partners).isnan()


def test_a_descent_step_brings_positives_together():
    points, labels = cloud(8).requires_grad_(), torch.arange(8) % 4
    loss = AlignmentLoss()
    before = loss(points, labels)
    before.backward()
    after = loss(points.detach() - 1e-4 * points.grad, labels)
    torch.testing.assert_close(after - before.detach(), -1e-4 * points.grad.square().sum(), rtol=0.01, atol=0)


def test_the_module_takes_partners():
    one, other = cloud(4), cloud(4, seed=1)
    expected = 2 * alignment_loss(one, partners=other, exponent=3.0)
    torch.testing.assert_close(AlignmentLoss(2.0, 3.0)(one, partners=other), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "got neither"),
        ({"labels": torch.zeros(4, dtype=torch.int64), "partners": cloud(4)}, "got both"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, r"expected shape \(4,\)"),
        ({"partners": cloud(3)}, r"expected \(4, 4\), got \(3, 4\)"),
        ({"partners": cloud(4), "exponent": 0.0}, "exponent must be positive"),
    ],
)
@pytest.mark.usefixtures("without_shape_checks")
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        alignment_loss(cloud(4), **arguments)
