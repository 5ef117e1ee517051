import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from conescope.measures import mean_cosine, rogue_dimensions, rogue_share
from conescope.measures.rogue_dimensions import rogue_dimensions_from_moments, rogue_share_from_moments
from conescope.scale.moments import merge, moments
from tests.reference import rogue_dimensions as reference


def normal(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_shares_by_hand():
    points = torch.tensor([[3.0, 4.0], [6.0, 8.0], [4.0, 3.0]], dtype=torch.float64)
    # pairs of (.6, .8), (.6, .8), (.8, .6): first coordinate .36 + 2 * .48, second .64 + 2 * .48; of 2.92
    found = rogue_dimensions(points)
    assert found.dimensions.tolist() == [1, 0]
    assert found.shares.tolist() == pytest.approx([1.60 / 2.92, 1.32 / 2.92], rel=1e-14)
    assert rogue_share(points, k=1).item() == pytest.approx(1.60 / 2.92, rel=1e-14)


@pytest.mark.parametrize("k", [1, 3, 8])
def test_the_diagonal_is_even(k):
    points = torch.ones(5, 8) * torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]])
    found = rogue_dimensions(points, k=k)
    assert found.dimensions.tolist() == list(range(k))  # at equal shares the first
    torch.testing.assert_close(found.shares, torch.full((k,), 1 / 8))
    assert rogue_share(points, k=k).item() == pytest.approx(k / 8)


def test_one_coordinate_far_from_the_origin_is_found():
    points = normal(200, 50)
    points[:, 17] += 20
    points[:, 4] -= 3
    found = rogue_dimensions(points, k=2)
    assert found.dimensions.tolist() == [17, 4]
    # means 20 and -3 in a unit noise: squares 400 and 9, of 409
    assert found.shares.tolist() == pytest.approx([400 / 409, 9 / 409], rel=0.1)
    assert rogue_share(points - points.mean(dim=0)).isnan()  # without the common direction nothing is shared


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 12), st.integers(1, 6), st.integers(1, 7), st.integers(0, 2**31))
def test_matches_the_loop_over_pairs(n, d, k, seed):
    points = normal(n, d, seed) * 0.8 + 1
    points[0] = 0 if n > 6 else points[0]
    rows = points.tolist()
    contributions = torch.tensor(reference.contributions(rows), dtype=torch.float64)
    torch.testing.assert_close(contributions.sum(), mean_cosine(points))
    found = rogue_dimensions(points, k=k)
    assume(not found.shares.isnan().any())
    assert found.shares.tolist() == pytest.approx(reference.shares(rows)[:k], abs=1e-11)
    torch.testing.assert_close(found.shares, contributions[found.dimensions] / contributions.sum())
    assert rogue_share(points, k=k).item() == pytest.approx(sum(reference.shares(rows)[:k]), abs=1e-11)
    assert rogue_share(points, k=d).item() == pytest.approx(1)


def test_defined_where_the_mean_cosine_exceeds_its_greatest_fall_below_zero():
    # two directions e_1 and two with first coordinate c: |sum|^2 = (2 + 2c)^2 against 2 n = 8
    def square(c):
        s = math.sqrt(1 - c * c)
        return torch.tensor([[1.0, 0], [1, 0], [c, s], [c, -s]], dtype=torch.float64)

    below, above = square(math.sqrt(2) - 1 - 1e-9), square(math.sqrt(2) - 1 + 1e-9)
    assert mean_cosine(above).item() == pytest.approx(1 / 3, abs=1e-8)  # 1 / (n - 1)
    assert rogue_share(below, k=1).isnan()
    assert rogue_dimensions(below).dimensions.tolist() == [0, 1]
    assert rogue_dimensions(below).shares.isnan().all()
    # first coordinate: pairs 1, 4 c and c^2, of 6 A = 2
    c = math.sqrt(2) - 1
    assert rogue_share(above, k=1).item() == pytest.approx((1 + 4 * c + c * c) / 2, abs=1e-8)
    assert 1 < rogue_share(above, k=1).item() < 2


def test_isotropic_clouds_are_undefined():
    assert all(rogue_share(normal(50, 20, seed)).isnan() for seed in range(50))


def test_in_two_dimensions_one_isotropic_cloud_in_seven_passes():
    passed = sum(not rogue_share(normal(40, 2, seed)).isnan() for seed in range(1000))
    # |sum of n directions|^2 / n is exponential with mean 1: P(> 2) = e^-2, with 3 times its error 0.011
    assert passed / 1000 == pytest.approx(math.exp(-2), abs=0.033)


def test_rows_of_very_different_length_count_alike():
    points = torch.tensor([[3e-180, 4e-180], [6.0, 8.0], [4e100, 3e100]], dtype=torch.float64)
    assert rogue_share(points, k=1).item() == pytest.approx(1.60 / 2.92, rel=1e-14)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_gradient(k):
    points = (normal(6, 3) * 0.3 + torch.tensor([3.0, 2.0, 1.0])).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: rogue_share(x, k=k), points)
    assert torch.autograd.gradcheck(lambda x: rogue_dimensions(x, k=k).shares, points)


def test_gradient_of_zero_and_repeated_points_is_finite():
    points = torch.tensor([[3.0, 4], [3, 4], [0, 0], [4, 3]], dtype=torch.float64, requires_grad=True)
    rogue_share(points, k=1).backward()
    assert torch.isfinite(points.grad).all()
    assert (points.grad[2] == 0).all()
    assert (points.grad[3] != 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_keeps_dtype_and_computes_in_double(dtype):
    points = (normal(30, 5) + 1).to(dtype)
    found, exact = rogue_dimensions(points), rogue_dimensions(points.double())
    assert found.shares.dtype == dtype
    assert torch.equal(found.shares, exact.shares.to(dtype))
    assert torch.equal(found.dimensions, exact.dimensions)
    assert rogue_share(points) == rogue_share(points.double()).to(dtype)


@pytest.mark.parametrize("unit", [1e-250, 1e250])
def test_extreme_units_and_strides_change_nothing(unit):
    points = normal(9, 8) + 1
    torch.testing.assert_close(rogue_share(points * unit), rogue_share(points))
    torch.testing.assert_close(rogue_share(points[:, ::2]), rogue_share(points[:, ::2].clone()))


def test_finish_of_merged_moments_is_the_function():
    points = normal(30, 6) + torch.linspace(0, 2, 6)
    parts = merge(moments(points[:7]), moments(points[7:]))
    found, expected = rogue_dimensions_from_moments(parts, k=4), rogue_dimensions(points, k=4)
    assert torch.equal(found.dimensions, expected.dimensions)
    torch.testing.assert_close(found.shares, expected.shares)
    torch.testing.assert_close(rogue_share_from_moments(parts, k=4), rogue_share(points, k=4))


def test_moments_of_order_one_are_refused():
    with pytest.raises(ValueError, match="order 2"):
        rogue_share_from_moments(moments(normal(5, 2), order=1))


def test_k_is_at_least_one():
    with pytest.raises(ValueError, match=r"at least 1, got 0"):
        rogue_dimensions(torch.ones(4, 2), k=0)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_than_three_directions_are_undefined(n):
    assert rogue_share(torch.ones(n, 3)).isnan()
    assert rogue_dimensions(torch.ones(n, 2)).shares.isnan().tolist() == [True, True]
    assert rogue_share(torch.zeros(5, 3)).isnan()


def test_one_dimension_carries_all():
    assert rogue_share(torch.tensor([[1.0], [2.0], [3.0]])).item() == 1
