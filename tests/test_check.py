"""What counts as finite, and which row is named."""

import math

import pytest
import torch

from conescope._check import check_finite, surely_finite


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("bad", [[math.nan], [math.inf], [-math.inf], [math.inf, -math.inf]])
def test_what_is_not_finite_is_found_and_its_row_named(bad, dtype):
    points = torch.ones(5, 3, dtype=dtype)
    assert surely_finite(points)
    check_finite(points)
    for place, value in enumerate(bad):
        points[3 + place, 1] = value
    assert not surely_finite(points)
    with pytest.raises(ValueError, match=rf"{len(bad)} of 5 rows hold NaN or infinity, the first in row 13"):
        check_finite(points, first=10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_numbers_that_add_up_to_more_than_the_type_holds_are_finite(dtype):
    points = torch.full((4, 2), torch.finfo(dtype).max, dtype=dtype)
    assert not surely_finite(points)  # which is why it is not the last word
    check_finite(points)
    points[:, 0] *= -1
    check_finite(points)  # a sum may pass the greatest number on its way to 0
    assert surely_finite(points / 64)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_of_half_precision_only_the_two_ends_are_added(dtype):
    points = torch.full((4, 2), torch.finfo(dtype).max, dtype=dtype)
    points[0] *= -1
    assert surely_finite(points)


def test_no_points_are_finite_and_gradients_are_not_asked_for():
    assert surely_finite(torch.empty(0, 3))
    points = torch.ones(2, 2, requires_grad=True)
    assert surely_finite(points)
    check_finite(points)
    assert points.grad is None
