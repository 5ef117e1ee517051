import pytest
import torch

from conescope.measures.centering import centered, centered_within, in_double


def test_ordinary_points_are_left_as_they_are():
    points = torch.tensor([[3.0, -5.0], [0.1, 0.2]])
    assert torch.equal(in_double(points), points.double())


@pytest.mark.parametrize("power", [-1060, -600, -120, 120, 600, 1020])
def test_extreme_unit_becomes_about_one_and_costs_no_digit(power):
    points = torch.tensor([[3.0, -5.0], [0.25, 0.5]], dtype=torch.float64)
    exact = points * 2.0 ** (power // 2) * 2.0 ** (power - power // 2)
    found = in_double(exact)
    assert 2.0**-100 < found.abs().max() < 2.0**100
    assert torch.equal(found / found.abs().max(), points / 5)


def test_coincident_points_are_centered_to_zero_exactly():
    assert (centered(torch.full((1001, 3), 0.1)) == 0).all()


def test_small_cloud_far_away_keeps_its_digits():
    shape = torch.tensor([[-1.0], [0], [1]], dtype=torch.float64)
    points = 1 + shape * 2.0**-40
    torch.testing.assert_close(centered(points) * 2.0**40, shape, rtol=0, atol=1e-15)


def test_centered_within_by_hand():
    points = torch.tensor([[1.0, 0], [4, 4], [3, 2], [8, 8]], dtype=torch.float64)
    expected = torch.tensor([[-1.0, -1], [0, 0], [1, 1], [0, 0]], dtype=torch.float64)
    found = centered_within(points, torch.tensor([5, -2, 5, 0]))
    torch.testing.assert_close(found, expected)


def test_no_points():
    empty = torch.zeros(0, 3)
    assert centered(empty).shape == in_double(empty).shape == (0, 3)
    assert centered_within(empty, torch.zeros(0, dtype=torch.int64)).shape == (0, 3)


def test_row_with_nan_is_named():
    points = torch.zeros(4, 2)
    points[2, 1] = torch.nan
    with pytest.raises(ValueError, match="1 of 4 rows hold NaN or infinity, the first in row 2"):
        in_double(points)
