import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import mean_cosine
from tests.reference import cosine as reference


def normal(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_value_by_hand():
    points = torch.tensor([[1.0, 0], [1, 1], [0, 2]])  # cosines 1/sqrt2, 0, 1/sqrt2
    assert mean_cosine(points.double()).item() == pytest.approx(math.sqrt(2) / 3, rel=1e-15)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([0.0, 1.0, 50.0]))
def test_matches_the_loop_over_pairs(n, d, seed, offset):
    points = normal(n, d, seed) + offset
    found = mean_cosine(points), mean_cosine(points, center=True)
    expected = reference.mean_cosine(points.tolist()), reference.centered_mean_cosine(points.tolist())
    assert [value.item() for value in found] == pytest.approx(expected, abs=1e-11)


def test_mean_over_pairs_does_not_hold_the_pairs_of_a_point_with_itself():
    points = torch.tensor([[1.0, 0], [1, 1], [0, 2]], dtype=torch.float64)
    a, n = mean_cosine(points).item(), 3
    assert (a * (n - 1) + 2) / (n + 1) == pytest.approx(0.735702, abs=1e-6)  # what i <= j would give


def test_simplex_reaches_the_minimum():
    assert mean_cosine(torch.eye(5, dtype=torch.float64), center=True).item() == pytest.approx(-1 / 4)


def test_zero_vectors_are_left_out_with_their_pairs():
    points = torch.tensor([[1.0, 0], [0, 0], [1, 1], [0, 0], [0, 2]], dtype=torch.float64).requires_grad_()
    value = mean_cosine(points)
    value.backward()
    assert value.item() == pytest.approx(math.sqrt(2) / 3, rel=1e-15)
    alone = points.detach()[[0, 2, 4]].requires_grad_()
    mean_cosine(alone).backward()
    torch.testing.assert_close(points.grad[[0, 2, 4]], alone.grad)
    assert (points.grad[[1, 3]] == 0).all()


def test_point_at_the_mean_has_no_direction_when_centered():
    ring = torch.tensor([[1.0, 0.2], [-0.3, 0.9], [-0.7, -1.1]], dtype=torch.float64)
    ring = ring - ring.mean(0)
    with_center = torch.cat([ring, torch.zeros(1, 2, dtype=torch.float64)]) + 0.1
    torch.testing.assert_close(mean_cosine(with_center, center=True), mean_cosine(ring, center=True))


@pytest.mark.parametrize("value", [0.1, 1.0, 1e-20, 7e15])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_coincident_points_have_no_direction_when_centered(value, dtype):
    points = torch.full((7, 3), value, dtype=dtype)
    assert mean_cosine(points, center=True).isnan()
    assert mean_cosine(points).item() == pytest.approx(1)


def test_collapse_onto_one_vector_is_seen_uncentered_and_only_there():
    direction = normal(1, 64)
    points = (direction + 1e-6 * normal(500, 64, seed=1)).float()
    assert mean_cosine(points).item() == pytest.approx(1, abs=1e-6)
    assert mean_cosine(points, center=True).item() == pytest.approx(-1 / 499, abs=2e-3)


def test_rows_of_very_different_length_count_alike():
    points = torch.tensor([[1e-180, 0], [1, 1], [0, 2e100]], dtype=torch.float64)
    assert mean_cosine(points).item() == pytest.approx(math.sqrt(2) / 3, rel=1e-14)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_points_give_nan(n):
    assert mean_cosine(torch.ones(n, 3)).isnan()
