"""Clouds near the origin: differences that were exact stay exact, and no square leaves the range."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from conescope.topology.placing import centered_single, ordinary, placed, power_of_two, product_roundoff
from tests.topology.clouds import KINDS

seeds = st.integers(0, 2**31)


def fractions(rows):
    return [[Fraction(x) for x in row] for row in rows.tolist()]


def test_placed_by_hand():
    """Less the first point; what is absent is zero, and the first that is present counts."""
    clouds = torch.tensor([[[1.0, 5.0], [3.0, 4.0], [0.0, 7.0]]])
    assert placed(clouds).tolist() == [[[0, 0], [2, -1], [-1, 2]]]
    present = torch.tensor([[False, True, True]])
    assert placed(clouds, present).tolist() == [[[0, 0], [0, 0], [-3, 3]]]
    assert placed(clouds, torch.zeros(1, 3, dtype=torch.bool)).tolist() == [[[0, 0]] * 3]


def test_placed_in_another_unit_by_hand():
    """float64: 0 and 6 are 0 and 6 / 4 in units of 4, less their mean 0.75."""
    assert placed(torch.tensor([[[1.0], [7.0]]], dtype=torch.float64)).tolist() == [[[-0.75], [0.75]]]
    clouds = torch.tensor([[[9.0], [1.0], [7.0]]], dtype=torch.float64)
    found = placed(clouds, torch.tensor([[False, True, True]]))
    assert found.tolist() == [[[0.0], [-0.75], [0.75]]]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(1, 12), st.integers(1, 5), seeds)
def test_differences_of_float32_points_are_exact(kind, n, d, seed):
    points = torch.from_numpy(KINDS[kind](np.random.default_rng(seed), n, d)).float()
    near = fractions(placed(points[None])[0])
    exact = fractions(points)
    for u in range(n):
        for v in range(n):
            assert [a - b for a, b in zip(near[u], near[v], strict=True)] == [
                a - b for a, b in zip(exact[u], exact[v], strict=True)
            ]


@pytest.mark.parametrize("scale", [1e-290, 1e-150, 1e-8, 1.0, 1e9, 1e150, 1e300])
def test_no_square_of_float64_leaves_the_range(scale):
    """The same cloud at any scale that is a power of two: the same rows, to the bit."""
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 9, 4)))
    unit = 2.0 ** round(math.log2(scale))
    assert torch.equal(placed(points * unit), placed(points))


def test_no_points():
    assert placed(torch.zeros(3, 0, 2)).shape == (3, 0, 2)
    assert ordinary(torch.zeros(0, 2, dtype=torch.float16)).dtype == torch.float32
    assert centered_single(torch.zeros(5, 2)).tolist() == [[0, 0]] * 5


@pytest.mark.parametrize(
    ("largest", "power"), [(1.0, 1), (1.99, 1), (2.0, 2), (5.0, 4), (0.3, 0.25), (0.0, 1)]
)
def test_power_of_two(largest, power):
    clouds = torch.tensor([[[0.0], [-largest]], [[3.0], [0.5]]], dtype=torch.float64)
    assert power_of_two(clouds).tolist() == [[[power]], [[2]]]


@pytest.mark.parametrize("scale", [1e-30, 1e-16, 1e16, 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_points_come_in_another_unit(scale, dtype):
    """All ratios of coordinates stay, and the largest is between 1 and 2."""
    points = torch.from_numpy(np.random.default_rng(1).normal(size=(20, 3)) * scale).to(dtype)
    rows = ordinary(points)
    unit = float(points[0, 0]) / float(rows[0, 0])
    assert math.frexp(unit)[0] == 0.5
    assert torch.equal(rows * unit, points.double())
    assert 1 <= float(rows.abs().max()) < 2


@pytest.mark.parametrize("scale", [1e-14, 1.0, 1e14])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_ordinary_points_stay_as_they_are(scale, dtype):
    if dtype == torch.float16:
        scale = 1.0
    points = torch.from_numpy(np.random.default_rng(1).normal(size=(20, 3)) * scale).to(dtype)
    assert ordinary(points).dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.equal(ordinary(points).to(dtype), points)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.integers(1, 20),
    st.sampled_from([torch.float32, torch.float64]),
    st.sampled_from([1e-25, 1e-3, 1.0, 1e20]),
    seeds,
)
def test_centered_rows_are_within_their_roundoff(kind, n, dtype, scale, seed):
    """Up to one shift and one unit, each row is the point, off by at most 2^-24 of each coordinate."""
    points = torch.from_numpy(KINDS[kind](np.random.default_rng(seed), n, 3) * scale).to(dtype)
    rows = centered_single(points)
    wide = ordinary(points)
    expected = wide - wide.mean(dim=0)
    assert rows.dtype == torch.float32
    assert_close(rows.double(), expected.double(), rtol=2.0**-24, atol=0.0)


@pytest.mark.parametrize(
    ("precision", "share"), [("highest", 2.0**-24), ("high", 2.0**-10), ("medium", 2.0**-8)]
)
def test_product_roundoff_follows_the_setting_of_torch(precision, share):
    """A factor that is rounded to bfloat16, of 8 bits, moves by up to 2^-8 of itself; TensorFloat has 11."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        assert product_roundoff(torch.device("cpu")) == share
    finally:
        torch.set_float32_matmul_precision(before)
