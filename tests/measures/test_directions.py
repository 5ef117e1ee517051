import math

import pytest
import torch

from conescope.measures.directions import directions


def test_directions_by_hand():
    units, found = directions(torch.tensor([[3.0, -4.0], [0.0, 0.0], [0.0, 2.0]]))
    torch.testing.assert_close(units, torch.tensor([[0.6, -0.8], [0, 0], [0, 1]], dtype=torch.float64))
    assert found.tolist() == [True, False, True]


def test_rows_of_very_different_length_keep_their_directions():
    units, found = directions(torch.tensor([[3e-180, 4e-180], [1, 1], [0, 2e100]], dtype=torch.float64))
    half = math.sqrt(0.5)
    expected = torch.tensor([[0.6, 0.8], [half, half], [0, 1]], dtype=torch.float64)
    torch.testing.assert_close(units, expected, rtol=1e-14, atol=0)
    assert found.all()


def test_gradient_is_that_of_the_division_and_zero_for_zero_vectors():
    points = torch.tensor([[1.0, 2.0, -2.0], [0.5, 0.0, 3.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: directions(x)[0], points)
    zero = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    directions(zero)[0].sum().backward()
    assert (zero.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_narrow_points_have_directions_in_double(dtype):
    units, _ = directions(torch.tensor([[1.0, 2.0]], dtype=dtype))
    torch.testing.assert_close(units, torch.tensor([[1.0, 2.0]], dtype=torch.float64) / math.sqrt(5))


def test_no_points_have_no_directions():
    units, found = directions(torch.ones(0, 3))
    assert units.shape == (0, 3)
    assert found.shape == (0,)
