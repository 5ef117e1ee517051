import math

import numpy as np
import pytest
import torch

from conescope.measures import ph_dimension
from conescope.topology import h0_lengths
from tests.reference import ph_dimension as reference


def gaussian(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def cube(n, d, ambient, seed=0):
    generator = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(ambient, ambient, dtype=torch.float64, generator=generator)).Q
    return torch.rand(n, d, dtype=torch.float64, generator=generator) @ turn[:d]


def test_a_line_of_three_by_hand():
    # 0, 1, 4: the whole has E = 4; a pair has 1, 3 or 4. Sizes 2 and 3, so 1 and 2 bars, and the slope is
    # log2(4 / mean over the drawn pairs). With one draw E(2) is 1, 3 or 4: dimension 1 / (1 - log2(4 / E(2)))
    line = torch.tensor([[0.0], [1.0], [4.0]], dtype=torch.float64)
    possible = {1: math.nan, 3: 1 / (1 - math.log2(4 / 3)), 4: 1.0}
    seen = set()
    for seed in range(12):
        generator = torch.Generator().manual_seed(seed)
        found = ph_dimension(line, sizes=[2, 3], repeats=1, generator=generator).item()
        seen |= {key for key, value in possible.items() if found == pytest.approx(value, nan_ok=True)}
    assert seen == {1, 3, 4}


def test_all_of_a_cloud_is_drawn_without_replacement():
    # with two sizes the slope is known from the two totals; the larger is the whole cloud, in any draw
    points = gaussian(40, 3)
    whole = h0_lengths(points).sum().log().item()
    found = ph_dimension(points, sizes=[20, 40], repeats=200).item()
    slope = 1 - 1 / found
    small = whole - slope * math.log(39 / 19)
    draws = [points[torch.randperm(40, generator=torch.Generator().manual_seed(s))[:20]] for s in range(200)]
    expected = h0_lengths(torch.stack(draws)).sum(dim=1).mean().log().item()
    assert small == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("d", [2, 5])
def test_matches_scipy_and_numpy_within_the_noise_of_draws(d):
    points = cube(300, d, 10)
    sizes = [40, 70, 120, 200]
    theirs = [reference.ph_dimension(points.numpy(), sizes, 10, seed) for seed in range(3)]
    ours = [
        ph_dimension(points, sizes=sizes, repeats=10, generator=torch.Generator().manual_seed(seed)).item()
        for seed in range(3)
    ]
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.06)


@pytest.mark.parametrize("d", [2, 3, 5])
def test_finds_the_dimension_of_a_cube_in_a_larger_space(d):
    assert ph_dimension(cube(1500, d, 12), repeats=4).item() == pytest.approx(d, rel=0.15)


def test_many_dimensions_are_underestimated():
    assert ph_dimension(cube(1000, 20, 20), repeats=2).item() < 17


def test_a_simplex_has_more_dimensions_than_can_be_told():
    assert ph_dimension(torch.eye(12, dtype=torch.float64)).isnan()  # E is 11 times the edge: slope 1


def test_equal_gaps_on_a_line():
    # whatever is drawn, E is the distance of the outermost two: nearly constant, so d is just above 1
    assert 1 < ph_dimension(torch.arange(500.0)[:, None].double()).item() < 1.05


def test_copies_are_taken_once():
    points = gaussian(60, 4)
    expected = ph_dimension(points).item()
    assert ph_dimension(points.repeat(5, 1)).item() == pytest.approx(expected, rel=1e-9)
    assert ph_dimension(torch.cat([points, points[:1].expand(90, 4)])).item() != expected  # another mean,
    # hence another numbering and other draws, of the same points
    assert ph_dimension(torch.cat([points, points[:1].expand(90, 4)])).item() == pytest.approx(
        expected, rel=0.5
    )


def test_is_a_function_of_the_points_unless_a_generator_is_given():
    points = gaussian(80, 4)
    state = torch.random.get_rng_state()
    assert ph_dimension(points) == ph_dimension(points)
    assert torch.equal(torch.random.get_rng_state(), state)
    generator = torch.Generator().manual_seed(3)
    first, second = (ph_dimension(points, generator=generator) for _ in range(2))
    assert first != second
    assert first == ph_dimension(points, generator=torch.Generator().manual_seed(3))


def test_sizes_above_the_number_of_distinct_points_are_left_out():
    points = gaussian(30, 3)
    assert ph_dimension(points, sizes=[8, 15, 30, 900]) == ph_dimension(points, sizes=[8, 15, 30])
    assert ph_dimension(points, sizes=[8, 900]).isnan()
    assert ph_dimension(points, sizes=[8, 8]).isnan()


def test_gradient():
    points = gaussian(6, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: ph_dimension(x, repeats=2), points)


def test_undefined():
    assert all(ph_dimension(gaussian(n, 4)).isnan() for n in (0, 1, 2))
    assert ph_dimension(torch.full((50, 3), 0.1)).isnan()
    assert ph_dimension(gaussian(2, 3).repeat(4, 1)).isnan()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_keeps_dtype(dtype):
    points = gaussian(40, 6).to(dtype)
    assert ph_dimension(points).dtype == dtype
    assert ph_dimension(points) == ph_dimension(points.double()).to(dtype)


def test_refusals():
    with pytest.raises(ValueError, match=r"at least 2, got \[1, 5\]"):
        ph_dimension(gaussian(9, 2), sizes=[1, 5])
    with pytest.raises(ValueError, match="at least 1, got 0"):
        ph_dimension(gaussian(9, 2), repeats=0)
