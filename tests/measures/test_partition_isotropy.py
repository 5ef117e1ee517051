import math
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import log_partition_isotropy, partition_isotropy
from tests.reference import partition_isotropy as reference


def normal(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def rows(*points):
    return torch.tensor(points, dtype=torch.float64)


def test_three_points_by_hand():
    # eigenvectors e_1, e_2: Z = e + 1 + 1/e for both signs of the first, 2 + e and 2 + 1/e for the second
    points = rows([1, 0], [0, 1], [-1, 0])
    e = math.e
    assert partition_isotropy(points).item() == pytest.approx((2 + 1 / e) / (2 + e), rel=1e-14)
    assert partition_isotropy(points).item() == pytest.approx(0.501852, abs=1e-6)
    one_sign = partition_isotropy(points, signs="positive").item()
    assert one_sign == pytest.approx((e + 1 + 1 / e) / (2 + e), rel=1e-14)
    assert one_sign == pytest.approx(0.866027, abs=1e-6)


def test_two_points_by_hand():
    # W^T W = 2 I, eigenvectors e_1, e_2: Z = 2 e, 2/e for the first, e + 1/e for both signs of the second
    points = rows([1, 1], [1, -1])
    e = math.e
    assert partition_isotropy(points).item() == pytest.approx(e**-2, rel=1e-14)
    assert partition_isotropy(points).item() == pytest.approx(0.135335, abs=1e-6)
    one_sign = partition_isotropy(points, signs="positive").item()
    assert one_sign == pytest.approx((e + 1 / e) / (2 * e), rel=1e-14)
    assert one_sign == pytest.approx(0.567668, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**31), st.sampled_from([0.0, 1.0]), st.booleans()
)
def test_matches_the_definition(n, d, seed, offset, both):
    points = normal(n, d, seed) + offset
    if both:
        found, signs = partition_isotropy(points), (1, -1)
    else:
        found, signs = partition_isotropy(points, signs="positive"), (1,)
    expected = reference.partition_isotropy(points.numpy(), signs=signs)
    assert found.item() == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("d", [2, 3, 50])
@pytest.mark.parametrize("signs", ["both", "positive"])
def test_directions_without_points_see_all_of_them_at_distance_0(d, signs):
    # one point of norm 3 in d dimensions: Z = e^3, e^-3 along it, 1 across
    points = torch.zeros(1, d, dtype=torch.float64)
    points[0, 0] = 3
    expected = math.exp(-6) if signs == "both" else math.exp(-3)
    assert partition_isotropy(points, signs=signs).item() == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(("n", "d"), [(4, 9), (9, 4)])
def test_rank_deficient_clouds(n, d):
    points = normal(n, 2) @ normal(2, d, seed=1)
    expected = reference.partition_isotropy(points.numpy())
    assert partition_isotropy(points).item() == pytest.approx(expected, rel=1e-10)


def test_weak_directions_of_few_long_vectors_keep_their_digits():
    # Z(+-e_1) is about e^L, Z(-e_2) = 2 + e^-0.5; the root of a product of points would be off by 1e-3 of 0.5
    length = 1e6
    points = torch.zeros(3, 5, dtype=torch.float64)
    points[0, 0], points[1, 0], points[2, 1] = length, -length, 0.5
    turned = points @ torch.linalg.qr(normal(5, 5)).Q
    for cloud in (points, turned):
        found = log_partition_isotropy(cloud).item() + length
        assert found == pytest.approx(math.log(2 + math.exp(-0.5)), abs=1e-8)


def test_equal_in_all_directions_of_the_cross_polytope():
    axes = torch.eye(4, dtype=torch.float64)
    assert partition_isotropy(torch.cat([axes, -axes])).item() == pytest.approx(1, rel=1e-14)


def test_depends_on_the_unit_and_on_the_mean():
    points = normal(30, 3)
    values = [partition_isotropy(points * unit).item() for unit in (0.01, 0.1, 1, 10)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.99
    assert values[-1] < 1e-3
    assert partition_isotropy(points + 3) < 0.01 * partition_isotropy(points)


def test_bounded_by_a_common_direction():
    points = normal(500, 4) * 0.1 + torch.tensor([5.0, 0, 0, 0])
    assert log_partition_isotropy(points).item() == pytest.approx(-10, abs=0.2)


def test_unit_is_not_changed_where_it_is_extreme():
    points = rows([3, 1], [1, -1], [1, 2])
    for tiny in (1e-40, 1e-250, 1e-320):
        assert partition_isotropy(points * tiny) == 1
    # along the first eigenvector the longest projections are a . w > 0: ln I = -2 max a . w, to n
    top = np.abs(np.linalg.svd(points.numpy())[2][0] @ points.numpy().T).max()
    for huge in (1e8, 1e40, 1e250):
        assert log_partition_isotropy(points * huge).item() <= -top * huge
        assert partition_isotropy(points * huge) == 0


def test_vectors_too_long_for_rounding_are_not_compared():
    axes = torch.eye(4, dtype=torch.float64)
    cross = torch.cat([axes, -axes])
    for size in (1e14, 1e40, 1e250):
        assert partition_isotropy(cross * size).isnan()
        assert log_partition_isotropy(cross * size).isnan()


def test_logarithm_where_the_ratio_underflows():
    points = rows([1000, 0], [1000, 1], [990, -1])
    assert partition_isotropy(points) == 0
    # Z(e_1) is about 2 e^1000, Z(-e_1) about e^-990; the points leave e_1 by angles of 1e-3
    assert log_partition_isotropy(points).item() == pytest.approx(-1990 - math.log(2), abs=0.01)
    short = points / 100
    assert log_partition_isotropy(short).item() == pytest.approx(partition_isotropy(short).log().item())
    assert log_partition_isotropy(short, signs="positive").exp().item() == pytest.approx(
        partition_isotropy(short, signs="positive").item()
    )


def test_sign_convention_is_the_largest_coordinate_first_of_equals():
    # one point on a ray: along its eigenvector, whose largest coordinate is made positive, Z = e^(a . w)
    assert partition_isotropy(rows([3, -4]), signs="positive").item() == pytest.approx(math.exp(-5))
    # a = (3, -4) / 5 turns into (-3, 4) / 5: Z = e^-5; the other: 1
    assert partition_isotropy(rows([-3, 4]), signs="positive").item() == pytest.approx(math.exp(-5))
    # of equal ones the first: a = (1, -1) / sqrt 2, a . w = sqrt 2 or -sqrt 2; across it Z = 1
    root = math.sqrt(2)
    both = rows([1, -1], [2, -2]), rows([-1, 1], [-2, 2])
    up, down = (math.exp(root) + math.exp(2 * root)) / 2, (math.exp(-root) + math.exp(-2 * root)) / 2
    assert partition_isotropy(both[0], signs="positive").item() == pytest.approx(1 / up)
    assert partition_isotropy(both[1], signs="positive").item() == pytest.approx(down)


def test_both_signs_do_not_depend_on_the_sign_of_the_points():
    points = normal(20, 5) + 0.3
    torch.testing.assert_close(partition_isotropy(-points), partition_isotropy(points))
    assert partition_isotropy(-points, signs="positive") != partition_isotropy(points, signs="positive")


def test_blocks_change_nothing(monkeypatch):
    points = normal(20, 6)
    expected = partition_isotropy(points)
    monkeypatch.setattr(
        import_module(partition_isotropy.__module__), "BLOCK", 40
    )  # two eigenvectors at a time
    torch.testing.assert_close(partition_isotropy(points), expected)


def test_without_points_or_spread():
    assert partition_isotropy(torch.zeros(0, 3)).isnan()
    assert partition_isotropy(torch.zeros(4, 3)) == 1
    assert partition_isotropy(torch.full((4, 1), 0.5)).item() == pytest.approx(math.exp(-1))
    coincident = torch.full((7, 4), 0.5, dtype=torch.float64)  # of norm 1
    assert partition_isotropy(coincident).item() == pytest.approx(math.exp(-2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_keeps_dtype(dtype):
    points = normal(20, 4).to(dtype)
    for measure in (partition_isotropy, log_partition_isotropy):
        assert measure(points).dtype == dtype
        assert measure(points) == measure(points.double()).to(dtype)


def test_has_no_gradient():
    assert not partition_isotropy(normal(5, 2).requires_grad_()).requires_grad


def test_unknown_signs_are_refused(without_shape_checks):
    with pytest.raises(ValueError, match="got 'plus'"):
        partition_isotropy(normal(5, 2), signs="plus")
