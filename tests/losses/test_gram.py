"""Products, sums of squares and centering of many clouds, against the same in plain steps."""

import pytest
import torch
from torch.testing import assert_close

from conescope.losses.gram import column_squares, gram
from conescope.losses.off_diagonal import off_diagonal_squares
from conescope.losses.prepared import centered_rows, largest_of


def clouds(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


PLAIN = {
    gram: lambda points: points @ points.mT,
    column_squares: lambda points: points.square().sum(dim=-2),
    centered_rows: lambda points: points - points.mean(dim=-2, keepdim=True),
}
EVERY = pytest.mark.parametrize("function", PLAIN, ids=lambda function: function.__name__)


@EVERY
@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 6), (2, 3, 1, 2), (1, 0)], ids=str)
def test_value_and_gradient_are_those_of_plain_steps(function, shape):
    found, true = (clouds(*shape).requires_grad_() for _ in range(2))
    value, expected = function(found), PLAIN[function](true)
    assert_close(value, expected)
    weights = clouds(*value.shape, seed=1)
    (value * weights).sum().backward()
    (expected * weights).sum().backward()
    assert_close(found.grad, true.grad)


@EVERY
@pytest.mark.parametrize("many", [False, True], ids=["as they come", "vmap"])
def test_gradients_of_first_and_second_order(function, many):
    points = clouds(2, 4, 3).requires_grad_()
    function = torch.vmap(function) if many else function
    assert torch.autograd.gradcheck(function, points)
    assert torch.autograd.gradgradcheck(function, points)


@EVERY
def test_the_number_type_and_points_that_are_not_contiguous(function):
    points = clouds(3, 8, dtype=torch.float32).T
    assert function(points).dtype == torch.float32
    assert_close(function(points), function(points.contiguous()))
    assert not function(points).requires_grad


@EVERY
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiled(function, without_shape_checks):
    torch.compiler.reset()
    points = clouds(4, 3, dtype=torch.float32)
    assert_close(torch.compile(function, backend="eager", fullgraph=True)(points), function(points))


def test_equal_points_far_away_are_exactly_at_their_mean():
    points = torch.full((2, 7, 3), 1e4 + 0.1)
    assert centered_rows(points).eq(0).all()


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)], ids=str)
def test_squares_off_the_diagonal_of_one_cloud_of_several_and_of_two(shape):
    points = clouds(4, *shape)
    squares, diagonals = off_diagonal_squares(points)
    for cloud, found, diagonal in zip(points, squares, diagonals, strict=True):
        products = cloud.T @ cloud
        assert_close(found, products.square().sum() - products.diagonal().square().sum())
        assert_close(diagonal, products.diagonal())
        assert_close(off_diagonal_squares(cloud, cloud), (found, diagonal))


def test_the_largest_coordinate_of_each_cloud():
    points = torch.tensor([[[1.0, -3.0]], [[2.0, 0.0]], [[torch.nan, 1.0]], [[-torch.inf, 1.0]]])
    assert_close(largest_of(points), torch.tensor([3.0, 2.0, torch.nan, torch.inf]), equal_nan=True)
