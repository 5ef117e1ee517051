import math

import numpy as np
import pytest
import skdim
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import mle_dimension
from conescope.measures.mle_dimension import mle_dimension_from_neighbors
from conescope.measures.neighbors import neighbors
from tests.reference import mle_dimension as reference


def gaussian(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def cube(n, d, ambient, seed=0):
    generator = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(ambient, ambient, dtype=torch.float64, generator=generator)).Q
    return torch.rand(n, d, dtype=torch.float64, generator=generator) @ turn[:d]


def test_four_points_by_hand():
    # 0, 1, 3, 7, all three others: (1, 3, 7), (1, 2, 6), (2, 3, 4), (4, 6, 7)
    # sums of ln(r_3 / r_j): ln 49/3, ln 18, ln 8/3, ln 49/24; 8 terms in all
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0]], dtype=torch.float64)
    total = math.log(49 / 3 * 18 * 8 / 3 * 49 / 24)
    assert mle_dimension(line, k=3).item() == pytest.approx(8 / total, rel=1e-14)
    assert mle_dimension(line).item() == pytest.approx(8 / total, rel=1e-14)  # k is at most n - 1


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 40), st.integers(1, 12), st.integers(2, 25), st.integers(0, 2**31))
def test_matches_the_definition(n, d, k, seed):
    array = np.random.default_rng(seed).normal(size=(n, d))
    found = mle_dimension(torch.from_numpy(array), k=k).item()
    assert found == pytest.approx(reference.mle_dimension(array, k), rel=1e-7)


def test_is_the_estimate_of_scikit_dimension():
    points = cube(400, 4, 12)
    theirs = skdim.id.MLE().fit(points.numpy(), n_neighbors=20, comb="mle").dimension_
    assert mle_dimension(points).item() == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_finds_the_dimension_of_a_cube_in_a_larger_space(d):
    assert mle_dimension(cube(3000, d, 20)).item() == pytest.approx(d, rel=0.12)


def test_many_dimensions_are_underestimated():
    assert 30 < mle_dimension(gaussian(1000, 128)).item() < 70


def test_copies_are_taken_once():
    # 0, 1, 3 with copies: each list holds the other two as before, so ratios 3, 2, 3/2 and one term each
    line = torch.tensor([[0.0], [1.0], [3.0], [3.0], [0.0], [0.0]], dtype=torch.float64)
    assert mle_dimension(line).item() == pytest.approx(3 / math.log(9), rel=1e-14)
    points = cube(500, 3, 10)
    repeated = torch.cat([points, points[:100]])
    assert mle_dimension(repeated).item() == pytest.approx(mle_dimension(points).item(), rel=0.05)
    assert mle_dimension(points.repeat(4, 1)).item() == pytest.approx(mle_dimension(points).item(), rel=0.2)


def test_mostly_copies_are_undefined():
    points = cube(100, 3, 10)
    assert mle_dimension(torch.cat([points, points[:1].expand(300, 10)])).isnan()


def test_a_smaller_k_reads_the_first_of_the_shared_neighbors():
    points = torch.cat([gaussian(60, 5), gaussian(20, 5)])
    torch.testing.assert_close(
        mle_dimension_from_neighbors(neighbors(points), k=7), mle_dimension(points, k=7)
    )


def test_gradient_with_copies():
    points = torch.cat([gaussian(9, 3), gaussian(3, 3)]).requires_grad_()
    mle_dimension(points).backward()
    assert points.grad.isfinite().all()
    assert (points.grad != 0).any()


def test_undefined():
    assert all(mle_dimension(gaussian(n, 4)).isnan() for n in (0, 1, 2))
    assert mle_dimension(torch.full((50, 3), 0.1)).isnan()
    assert mle_dimension(torch.eye(6)).isnan()  # a simplex: all distances are equal
    assert not mle_dimension(gaussian(3, 1)).isnan()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_keeps_dtype(dtype):
    assert mle_dimension(gaussian(40, 6).to(dtype)).dtype == dtype


def test_refusals():
    with pytest.raises(ValueError, match="at least 2 neighbors of each point, got k = 1"):
        mle_dimension(gaussian(9, 2), k=1)
