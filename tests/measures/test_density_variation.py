import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import density_variation
from conescope.measures.density_variation import density_variation_from_neighbors
from conescope.measures.neighbors import neighbors
from tests.reference import density_variation as reference


def gaussian(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_three_points_by_hand():
    # 0, 1, 3 have their neighbor at 1, 1, 2: mean 4/3, variance (1/9 + 1/9 + 4/9) / 3 = 2/9
    line = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    assert density_variation(line, k=1).item() == pytest.approx(math.sqrt(2) / 4, rel=1e-14)
    # and the second at 3, 2, 3: mean 8/3, variance 2/9
    assert density_variation(line, k=2).item() == pytest.approx(math.sqrt(2) / 8, rel=1e-14)


def test_even_density_is_zero():
    circle = torch.arange(24).double() * (2 * math.pi / 24)
    points = torch.stack([circle.cos(), circle.sin()], dim=1)
    assert density_variation(points).item() == pytest.approx(0, abs=1e-12)
    assert density_variation(gaussian(2, 3)).item() == 0


def test_the_greatest_value_is_reached_by_one_lonely_point():
    points = torch.zeros(12, 2, dtype=torch.float64)
    points[5] = 7
    assert density_variation(points, k=3).item() == pytest.approx(math.sqrt(11))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**31))
def test_matches_the_definition(n, d, k, seed):
    array = np.random.default_rng(seed).normal(size=(n, d))
    found = density_variation(torch.from_numpy(array), k=k).item()
    assert found == pytest.approx(reference.density_variation(array, k), abs=1e-9)


def test_a_smaller_k_reads_the_first_of_the_shared_neighbors():
    points = gaussian(60, 5)
    torch.testing.assert_close(
        density_variation_from_neighbors(neighbors(points), k=4), density_variation(points, k=4)
    )


def test_gradient_where_it_is_zero_and_among_copies():
    points = gaussian(2, 3).requires_grad_()
    density_variation(points).backward()
    assert (points.grad == 0).all()
    copies = gaussian(5, 3).repeat(3, 1).requires_grad_()
    density_variation(copies, k=2).backward()
    assert copies.grad.isfinite().all()


def test_undefined():
    assert density_variation(gaussian(0, 3)).isnan()
    assert density_variation(gaussian(1, 3)).isnan()
    assert density_variation(torch.full((30, 3), 0.1)).isnan()
    assert density_variation(gaussian(3, 2).repeat(5, 1), k=4).isnan()
    assert not density_variation(gaussian(3, 2).repeat(5, 1), k=5).isnan()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_keeps_dtype(dtype):
    assert density_variation(gaussian(40, 6).to(dtype)).dtype == dtype


def test_refusals():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        density_variation_from_neighbors(neighbors(gaussian(9, 2)), k=0)
