import math

import numpy as np
import pytest
import skdim
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gamma

from conescope.measures import twonn, twonn_estimate
from conescope.measures.neighbors import Neighbors, neighbors
from conescope.measures.twonn import distinct_neighbors, twonn_estimate_from_neighbors
from tests.reference import twonn as reference


def gaussian(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def cube(n, d, ambient, seed=0):
    generator = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(ambient, ambient, dtype=torch.float64, generator=generator)).Q
    return torch.rand(n, d, dtype=torch.float64, generator=generator) @ turn[:d]


def test_three_points_by_hand():
    # 0, 1, 3: distances (1, 3), (1, 2), (2, 3); product of ratios 3 * 2 * 3/2 = 9
    line = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    assert twonn(line).item() == pytest.approx(3 / math.log(9), rel=1e-14)


def test_two_points_of_a_lattice_at_equal_distance_are_two():
    # 0, 1, 2: ratios 2, 1, 2
    line = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)
    assert twonn(line).item() == pytest.approx(3 / math.log(4), rel=1e-14)


def test_discard_by_hand():
    # of the ratios 3/2, 2, 3 the last is only known to be at least 2: 2 / (ln 3/2 + ln 2 + ln 2) = 2 / ln 6
    line = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    assert twonn(line, discard=0.34).item() == pytest.approx(2 / math.log(6), rel=1e-14)
    assert twonn(line, discard=0.33).item() == pytest.approx(3 / math.log(9), rel=1e-14)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(3, 40),
    st.integers(1, 12),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.integers(1, 3),
    st.integers(0, 2**31),
)
def test_matches_the_definition_on_distinct_points(n, d, discard, copies, seed):
    array = np.random.default_rng(seed).normal(size=(n, d))
    points = torch.from_numpy(array).repeat(copies, 1)
    assert twonn(points, discard=discard).item() == pytest.approx(reference.twonn(array, discard), rel=1e-7)


@pytest.mark.parametrize("discard", [0.0, 0.1])
def test_is_the_estimate_of_scikit_dimension_but_for_its_correction(discard):
    points = cube(500, 4, 12)
    m = 500 - round(500 * discard)
    with np.errstate(divide="ignore"):  # of its empirical distribution, which the likelihood does not use
        theirs = skdim.id.TwoNN(discard_fraction=discard, method="mle").fit(points.numpy()).dimension_
    assert twonn(points, discard=discard).item() * (m - 1) / m == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_finds_the_dimension_of_a_cube_in_a_larger_space(d):
    assert twonn(cube(3000, d, 20)).item() == pytest.approx(d, rel=0.1)


def test_some_points_repeated_once_or_often_do_not_change_it():
    points = cube(400, 3, 10)
    expected = twonn(points).item()
    assert twonn(torch.cat([points, points[:80]])).item() == pytest.approx(expected, rel=1e-12)
    assert twonn(torch.cat([points, points, points[:80]])).item() == pytest.approx(expected, rel=1e-12)
    assert twonn(torch.cat([points] * 10)).item() == pytest.approx(expected, rel=1e-12)
    shuffled = torch.cat([points, points[:200], points[:50]])
    shuffled = shuffled[torch.randperm(650, generator=torch.Generator().manual_seed(0))]
    assert twonn(shuffled).item() == pytest.approx(expected, rel=1e-12)


def test_a_point_repeated_by_the_hundred_is_left_out_with_those_it_surrounds():
    points = cube(400, 3, 10)
    found = twonn_estimate(torch.cat([points, points[:1].expand(100, 10)]))
    assert 0.5 < found.used < 400 / 500  # the copies have no ratio, nor do those that list nobody else
    assert found.dimension.item() == pytest.approx(twonn(points).item(), rel=0.1)
    # two such points are still two, for somebody who sees both
    far = torch.cat([points[:1].expand(15, 10), points[1:2].expand(15, 10)])
    assert twonn_estimate(far).used == 0 or twonn(far).isnan()


def test_mostly_copies_are_undefined():
    points = cube(400, 3, 10)
    found = twonn_estimate(torch.cat([points, points[:1].expand(900, 10)]))
    assert found.used < 0.5
    assert all(value.isnan() for value in found[:3])
    assert twonn(points[:40].repeat(25, 1)).isnan()


def test_near_copies_bend_it_and_discarding_straightens():
    points = cube(1000, 8, 16)
    near = torch.cat([points, points[:25] + 1e-7])  # 50 points with ratios of about a million
    assert twonn(near).item() < 0.7 * twonn(points).item()
    assert twonn(near, discard=0.1).item() == pytest.approx(twonn(points, discard=0.1).item(), rel=0.15)


def test_many_dimensions_are_underestimated():
    assert 40 < twonn(gaussian(1000, 128)).item() < 75


@pytest.mark.parametrize("m", [3, 30, 300])
def test_interval_is_that_of_a_gamma_variable(m):
    found = twonn_estimate(gaussian(m, 4))
    low, high = gamma.ppf([0.025, 0.975], m) / m * found.dimension.item()
    assert found.low.item() == pytest.approx(low, rel=0.03)
    assert found.high.item() == pytest.approx(high, rel=0.03)


def test_interval_covers_the_dimension_of_a_cube_without_boundary():
    generator = torch.Generator().manual_seed(0)
    covered = 0
    for _ in range(80):
        angles = 2 * math.pi * torch.rand(150, 2, dtype=torch.float64, generator=generator)
        torus = torch.cat([angles.cos(), angles.sin()], dim=1)
        found = twonn_estimate(torus)
        covered += bool(found.low <= 2 <= found.high)
    assert 0.78 < covered / 80 < 0.93  # short of 95 %: mutual neighbors share a distance


def test_distinct_neighbors_by_hand():
    # points a b a c c: of a's list (a, b, c, c) b and the first c are new, in their order
    points = torch.tensor([[0.0], [1.0], [0.0], [3.0], [3.0]], dtype=torch.float64)
    new, first = distinct_neighbors(neighbors(points))
    assert first.tolist() == [True, True, False, True, False]
    assert new.tolist() == [
        [False, True, True, False],  # 2 1 3 4
        [True, False, True, False],  # 0 2 3 4
        [False, True, True, False],  # 0 1 3 4
        [False, True, True, False],  # 4 1 0 2
        [False, True, True, False],  # 3 1 0 2
    ]


def test_gradient_with_copies_and_discarding():
    points = torch.cat([gaussian(9, 3), gaussian(3, 3)]).requires_grad_()
    twonn(points, discard=0.2).backward()
    assert points.grad.isfinite().all()
    other = gaussian(12, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: twonn(x, discard=0.2), other)
    assert torch.autograd.gradcheck(lambda x: twonn_estimate(x)[:3], other)


def test_undefined():
    assert all(twonn(gaussian(n, 4)).isnan() for n in (0, 1, 2))
    assert twonn(torch.full((50, 3), 0.1)).isnan()
    assert twonn(gaussian(2, 3).repeat(4, 1)).isnan()
    assert twonn(torch.eye(6)).isnan()  # a simplex has ratios of 1 only
    assert not twonn(gaussian(3, 1)).isnan()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_keeps_dtype(dtype):
    found = twonn_estimate(gaussian(40, 6).to(dtype))
    assert {value.dtype for value in found} == {dtype}
    assert all(value.shape == () for value in found)


def test_refusals():
    shared = neighbors(gaussian(9, 2))
    assert isinstance(shared, Neighbors)
    for discard in (-0.1, 1.0):
        with pytest.raises(ValueError, match="from 0 to below 1"):
            twonn_estimate_from_neighbors(shared, discard=discard)
