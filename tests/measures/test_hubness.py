import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import skew

from conescope.measures import antihubs, hubness
from conescope.measures.hubness import antihubs_from_neighbors, hubness_from_neighbors
from conescope.measures.neighbors import neighbors
from tests.reference import hubness as reference


def gaussian(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_star_by_hand():
    # four arms of different length and their center: everybody names the center, which names arm 0.
    # N = (1, 0, 0, 0, 4), mean 1, deviations (0, -1, -1, -1, 3): (27 - 3) / 5 over ((9 + 3) / 5)^(3/2)
    star = torch.tensor([[1.0, 0], [-1.1, 0], [0, 1.2], [0, -1.3], [0, 0]], dtype=torch.float64)
    assert hubness(star, k=1).item() == pytest.approx(4.8 / 2.4**1.5, rel=1e-14)
    assert antihubs(star, k=1).item() == pytest.approx(3 / 5)


def test_the_greatest_values_are_reached():
    # one point named by all, all others by nobody but one: skewness can not exceed (n - 2) / sqrt(n - 1)
    n = 60
    star = torch.cat([torch.eye(n - 1, dtype=torch.float64), torch.zeros(1, n - 1, dtype=torch.float64)])
    star[: n - 1] *= torch.linspace(1, 1.2, n - 1)[:, None]
    assert 0.99 < hubness(star, k=1).item() / ((n - 2) / math.sqrt(n - 1)) <= 1
    assert antihubs(star, k=1).item() == pytest.approx(1 - 2 / n)  # 1 - (k + 1) / n


def test_pairs_have_no_hub():
    pairs = torch.arange(10).repeat_interleave(2).double() * 10 + torch.arange(20) % 2
    assert hubness(pairs[:, None], k=1).item() == 0
    assert antihubs(pairs[:, None], k=1).item() == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 40), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**31))
def test_matches_the_definition(n, d, k, seed):
    array = np.random.default_rng(seed).normal(size=(n, d))
    points = torch.from_numpy(array)
    assert hubness(points, k=k).item() == pytest.approx(reference.hubness(array, k), abs=1e-9)
    assert antihubs(points, k=k).item() == pytest.approx(reference.antihubs(array, k))


def test_is_the_skewness_of_a_statistics_library():
    points = gaussian(300, 30)
    counts = neighbors(points, 10).indices.flatten().bincount(minlength=300).numpy()
    assert hubness(points).item() == pytest.approx(skew(counts), rel=1e-12)


def test_grows_with_dimension():
    values = [hubness(gaussian(1000, d)).item() for d in (3, 20, 100)]
    assert values[0] < 0.5 < 1 < values[1] < values[2]
    assert antihubs(gaussian(1000, 3)) < 0.01 < antihubs(gaussian(1000, 100))


def test_a_smaller_k_reads_the_first_of_the_shared_neighbors():
    points = gaussian(90, 8)
    shared = neighbors(points)
    for k in (1, 5, 10, 20):
        assert hubness_from_neighbors(shared, k=k) == hubness(points, k=k)
        assert antihubs_from_neighbors(shared, k=k) == antihubs(points, k=k)


def test_with_few_points_all_but_the_farthest_count():
    # 0, 1, 3: k is 1 there, and the lists are 1, 0, 1: N = (1, 2, 0), skewness 0
    line = torch.tensor([[0.0], [1.0], [3.0]])
    assert hubness(line).item() == 0
    assert antihubs(line).item() == pytest.approx(1 / 3)


@pytest.mark.parametrize("measure", [hubness, antihubs])
def test_undefined(measure):
    assert all(measure(gaussian(n, 4)).isnan() for n in (0, 1, 2))
    assert not measure(gaussian(3, 4)).isnan()
    assert measure(torch.full((50, 3), 0.1)).isnan()  # which copy is named would be chance
    assert measure(gaussian(4, 3).repeat_interleave(12, dim=0)).isnan()
    assert not measure(gaussian(8, 3).repeat_interleave(5, dim=0)).isnan()


def test_zero_vectors_and_one_dimension():
    points = torch.cat([torch.zeros(2, 1), torch.arange(1.0, 9)[:, None] ** 2]).double()
    assert hubness(points, k=3).item() == pytest.approx(reference.hubness(points.numpy(), 3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_keeps_dtype_and_takes_points_that_require_gradient(dtype):
    points = gaussian(40, 6).to(dtype).requires_grad_()
    assert hubness(points).dtype == antihubs(points).dtype == dtype
    assert not hubness(points).requires_grad  # it counts


def test_refusals():
    shared = neighbors(gaussian(9, 2))
    for refused in (hubness_from_neighbors, antihubs_from_neighbors):
        with pytest.raises(ValueError, match="at least 1, got 0"):
            refused(shared, k=0)
