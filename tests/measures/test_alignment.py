import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import alignment
from tests.reference import uniformity as reference


def normal(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


POINTS = torch.tensor([[1.0, 0], [3, 0], [0, 2]], dtype=torch.float64)
PARTNERS = torch.tensor([[5.0, 0], [0, 1], [0, -1]], dtype=torch.float64)  # distances 0, sqrt 2, 2


def test_by_hand():
    assert alignment(POINTS, PARTNERS).item() == pytest.approx((0 + 2 + 4) / 3, rel=1e-15)
    assert alignment(POINTS, PARTNERS, exponent=1.0).item() == pytest.approx((0 + math.sqrt(2) + 2) / 3)
    assert alignment(POINTS, PARTNERS, exponent=4.0).item() == pytest.approx((0 + 4 + 16) / 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([0.5, 1.0, 2.0, 3.0]))
def test_matches_the_loop_over_pairs(n, d, seed, exponent):
    points, partners = normal(n, d, seed), normal(n, d, seed + 1) + 1
    found = alignment(points, partners, exponent=exponent).item()
    expected = reference.alignment(points.tolist(), partners.tolist(), exponent)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_at_exponent_2_it_is_the_mean_cosine_of_partners():
    points, partners = normal(40, 5), normal(40, 5, seed=1) + 0.5
    cosines = torch.nn.functional.cosine_similarity(points, partners)
    torch.testing.assert_close(alignment(points, partners), 2 - 2 * cosines.mean())


def test_close_partners_keep_their_digits():
    partners = torch.tensor([[1.0, 1e-9]], dtype=torch.float64)  # from the cosine it would be exactly 0
    assert alignment(POINTS[:1], partners).item() == pytest.approx(1e-18, rel=1e-12)


def test_ends_of_the_range():
    points = normal(9, 4)
    assert alignment(points, 3 * points).item() == pytest.approx(0, abs=1e-30)
    assert alignment(points, -points).item() == pytest.approx(4, rel=1e-14)
    assert alignment(points, -points, exponent=3.0).item() == pytest.approx(8, rel=1e-14)


@pytest.mark.parametrize("d", [1, 2, 30])
def test_independent_directions_give_2(d):
    assert alignment(normal(20_000, d), normal(20_000, d, seed=1)).item() == pytest.approx(2, abs=0.05)


def test_pairs_with_a_zero_vector_are_left_out():
    zero = torch.zeros(1, 2, dtype=torch.float64)
    points = torch.cat([POINTS, zero, POINTS[:1], zero]).requires_grad_()
    partners = torch.cat([PARTNERS, POINTS[:1], zero, zero]).requires_grad_()
    found = alignment(points, partners)
    found.backward()
    assert found.item() == pytest.approx(2, rel=1e-15)
    assert (points.grad[3:] == 0).all()
    assert (partners.grad[3:] == 0).all()
    assert (points.grad[1] != 0).any()


def test_without_pairs():
    nothing = torch.zeros(0, 3)
    assert alignment(nothing, nothing).isnan()
    zeros = torch.zeros(4, 3).requires_grad_()
    assert alignment(zeros, torch.ones(4, 3)).isnan()
    assert alignment(torch.ones(4, 3), zeros).isnan()


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0, 3.0])
def test_gradient(exponent):
    points, partners = normal(6, 3).requires_grad_(), normal(6, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: alignment(x, y, exponent=exponent), (points, partners))


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_gradient_is_0_where_partners_coincide(exponent):
    points = torch.cat([POINTS[:1], POINTS]).requires_grad_()
    alignment(points, torch.cat([POINTS[:1], PARTNERS]), exponent=exponent).backward()
    assert (points.grad[:2] == 0).all()
    assert torch.isfinite(points.grad).all()


def test_extreme_lengths_do_not_matter():
    lengths = torch.tensor([[1e-200], [1.0], [1e200]], dtype=torch.float64)
    assert alignment(POINTS * lengths, PARTNERS * lengths.flip(0)).item() == pytest.approx(2, rel=1e-14)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_keeps_the_dtype_of_the_points(dtype):
    found = alignment(POINTS.to(dtype), PARTNERS)
    assert found.dtype == dtype
    assert found == 2


def test_problems_of_the_partners_are_told_as_theirs():
    broken = PARTNERS.clone()
    broken[1, 0] = torch.nan
    with pytest.raises(ValueError, match=r"^partners: .*the first in row 1;"):
        alignment(POINTS, broken)
    with pytest.raises(ValueError, match=r"^points must be finite.*the first in row 1;"):
        alignment(broken, PARTNERS)


def test_shapes_must_agree(without_shape_checks):
    with pytest.raises(ValueError, match=r"expected \(3, 2\), got \(2, 2\)"):
        alignment(POINTS, PARTNERS[:2])


@pytest.mark.parametrize("exponent", [0.0, -1.0, math.inf, math.nan])
def test_exponent_must_be_positive(exponent):
    with pytest.raises(ValueError, match="positive"):
        alignment(POINTS, PARTNERS, exponent=exponent)
