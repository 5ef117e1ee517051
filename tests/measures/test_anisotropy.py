import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import anisotropy, within_class_anisotropy
from tests.reference import anisotropy as reference

CROSS = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64)


@pytest.mark.parametrize("center", [False, True])
def test_three_points_by_hand(center):
    # squared singular values 38.892444, 11.107556, and exactly a third of them when centered
    points = torch.tensor([[3.0, 4], [3, 0], [0, 4]], dtype=torch.float64)
    assert anisotropy(points, center=center).item() == pytest.approx(0.777849, abs=1e-6)


def test_a_common_mean_counts_as_a_direction_unless_centered():
    assert anisotropy(CROSS).item() == pytest.approx(0.5)
    assert anisotropy(CROSS, center=False).item() == pytest.approx(0.5)
    moved = CROSS + torch.tensor([10.0, 0])
    assert anisotropy(moved).item() == pytest.approx(0.5)
    assert anisotropy(moved, center=False).item() == pytest.approx(402 / 404, rel=1e-14)  # 0.995050


def test_within_class_by_hand():
    # class 0 varies by 1 along y, class 1 by 2 along x: squares 2 and 8; the distance of 12 is explained
    points = torch.tensor([[10.0, 1], [10, -1], [-2, 0], [2, 0]], dtype=torch.float64)
    assert within_class_anisotropy(points, torch.tensor([7, 7, -1, -1])).item() == pytest.approx(0.8)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 20), st.integers(1, 20), st.integers(1, 5), st.integers(0, 2**31))
def test_matches_the_singular_value_decomposition(n, d, k, seed):
    rng = np.random.default_rng(seed)
    array = rng.normal(size=(n, d)) * rng.uniform(0.01, 3, d) + rng.normal(size=d)
    points = torch.from_numpy(array)
    assert anisotropy(points, k=k, center=False).item() == pytest.approx(reference.anisotropy(array, k))
    assert anisotropy(points, k=k).item() == pytest.approx(reference.centered_anisotropy(array, k))


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 20), st.integers(1, 20), st.integers(1, 3), st.integers(0, 2**31))
def test_within_class_matches_class_by_class(n, d, k, seed):
    rng = np.random.default_rng(seed)
    labels = np.append(rng.integers(-2, 3, n - 2), [9, 9])
    array = rng.normal(size=(n, d)) + 5 * labels[:, None]
    found = within_class_anisotropy(torch.from_numpy(array), torch.from_numpy(labels), k=k)
    assert found.item() == pytest.approx(reference.within_class_anisotropy(array, labels, k))


def test_one_class_is_the_centered_measure():
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(9, 4)) + 3)
    labels = torch.zeros(9, dtype=torch.int64)
    torch.testing.assert_close(within_class_anisotropy(points, labels), anisotropy(points))


def test_all_directions_hold_everything():
    assert anisotropy(CROSS, k=2).item() == pytest.approx(1)
    assert anisotropy(CROSS, k=50).item() == pytest.approx(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_spread_it_is_nan(dtype):
    same = torch.full((6, 3), 0.1, dtype=dtype)
    assert anisotropy(same).isnan()
    assert anisotropy(same, center=False).item() == pytest.approx(1)
    assert anisotropy(torch.zeros(6, 3, dtype=dtype), center=False).isnan()
    assert anisotropy(torch.zeros(0, 3, dtype=dtype)).isnan()
    assert within_class_anisotropy(same + torch.arange(6)[:, None], torch.arange(6)).isnan()


def test_k_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        anisotropy(CROSS, k=0)
