"""The compiled loops make the trees and lengths of the pure path, edge by edge, and are missed by nobody."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from conescope.losses import PersistentEntropyLoss
from conescope.topology import compiled, h0_edges, h0_lengths, trees
from conescope.topology.differences import squared_differences
from conescope.topology.lengths import edge_lengths
from conescope.topology.prim import prim
from conescope.topology.pulls import norms_of_edges, pulls_of_edges
from conescope.topology.recursion import kept_by_alpha
from tests.reference.spanning import kruskal
from tests.topology.clouds import KINDS
from tests.topology.loops import REAL, needs_numba

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.fixture(params=["plain", pytest.param("compiled", marks=needs_numba)])
def way(request):
    """What makes a loop callable: as Python reads it, or compiled."""
    return (lambda loop: loop) if request.param == "plain" else (lambda loop: REAL(loop, True))


@pytest.fixture
def with_numba(monkeypatch):
    monkeypatch.setattr(compiled, "compiled", REAL)


def squares_of(points):
    return ((points[:, :, None] - points[:, None]) ** 2).sum(axis=-1)


# ---- the tree


def test_a_path_by_hand(way):
    """Points at 0, 1, 3 and 7, out of order: each is joined to the next."""
    edges, lengths = way(prim)(squares_of(np.array([[[0.0], [7], [1], [3]]])))
    assert edges.tolist() == [[[0, 2], [1, 3], [2, 3]]]
    assert lengths.tolist() == [[1, 4, 2]]
    assert lengths.dtype == np.float32


def test_of_the_sides_of_a_square_the_smaller_pairs_are_taken(way):
    edges, lengths = way(prim)(squares_of(np.array([[[0.0, 0], [1, 0], [0, 1], [1, 1]]])))
    assert edges.tolist() == [[[0, 1], [0, 2], [1, 3]]]
    assert lengths.tolist() == [[1, 1, 1]]


@pytest.mark.parametrize("missing", [np.inf, np.nan])
def test_points_without_an_edge_are_left_alone(way, missing):
    squares = squares_of(np.array([[[0.0], [9], [2], [1]]] * 4))
    for cloud, absent in enumerate([[1], [0, 2, 3], [0], [0, 1, 2, 3]]):
        squares[cloud, absent], squares[cloud, :, absent] = missing, missing
    edges, lengths = way(prim)(squares)
    assert edges.tolist() == [
        [[0, 3], [2, 3], [0, 0]],
        [[0, 0]] * 3,
        [[1, 2], [2, 3], [0, 0]],
        [[0, 0]] * 3,
    ]
    assert lengths.tolist() == [[1, 1, 0], [0, 0, 0], [7, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("n", [0, 1])
def test_without_two_points_there_is_no_edge(way, n):
    edges, lengths = way(prim)(np.zeros((2, n, n)))
    assert edges.shape == (2, 0, 2)
    assert lengths.shape == (2, 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 20), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**31))
def test_ties_are_broken_by_the_smaller_pair(n, d, values, seed):
    """Small integers: all is exact, and Kruskal by the textbook has the same ties."""
    points = np.random.default_rng(seed).integers(0, values, (1, n, d)).astype(float)
    squares = squares_of(points)
    edges, _ = prim(squares)
    assert edges[0].tolist() == sorted([u, v] for u, v in kruskal(squares[0]))


# ---- what it is made of


def test_squares_by_hand(way):
    """The third of four rows is in no cloud, and one member of the second cloud is absent."""
    points = np.array([[0.0, 0], [3, 4], [9, 9], [0, 1]], dtype=np.float32)
    members = np.array([[1, 0, 3], [3, 2, 0]])
    present = np.array([[True, True, True], [True, False, True]])
    inf = np.inf
    assert way(squared_differences)(points, members, present).tolist() == [
        [[0, 25, 18], [25, 0, 1], [18, 1, 0]],
        [[0, inf, 1], [inf, 0, inf], [1, inf, 0]],
    ]


def test_squares_lose_nothing_far_from_the_origin_or_at_the_ends_of_the_range(way):
    points = np.array([[16777216.0], [16777218], [3e38], [-3e38], [1e-45]], dtype=np.float32)
    found = way(squared_differences)(points, np.arange(5)[None], np.ones((1, 5), dtype=bool))
    assert found[0, 0, 1] == 4
    assert found[0, 2, 3] == (2 * float(points[2, 0])) ** 2
    assert found[0, 4, 4] == 0
    tiny = np.array([[0.0], [1e-45]], dtype=np.float32)
    found = way(squared_differences)(tiny, np.arange(2)[None], np.ones((1, 2), dtype=bool))
    assert found[0, 0, 1] == float(tiny[1, 0]) ** 2 > 0


TRIANGLE = np.array([[0, 0], [3, 4], [3, 0]], dtype=np.float32)


def test_lengths_by_hand(way):
    edges = np.array([[0, 1], [1, 2], [2, 0], [1, 1]])
    assert way(norms_of_edges)(TRIANGLE, edges).tolist() == [5, 4, 3, 0]


def test_each_side_pulls_at_its_ends_along_itself(way):
    """(3, 4) / 5 times 10; (0, 1); (1, 0) times 2, as in test_lengths. The last edge has no length."""
    edges = np.array([[0, 1], [1, 2], [2, 0], [1, 1]])
    lengths = np.array([5, 4, 3, 0], dtype=np.float32)
    grad = np.array([10, 1, 2, 1e30], dtype=np.float32)
    found = way(pulls_of_edges)(TRIANGLE, edges, lengths, grad)
    np.testing.assert_allclose(found, [[-6 - 2, -8], [6, 8 + 1], [2, -1]], rtol=1e-7)


def test_a_point_without_edges_is_not_pulled(way):
    none = np.empty(0, dtype=np.float32)
    found = way(pulls_of_edges)(TRIANGLE, np.empty((0, 2), dtype=np.int64), none, none)
    assert found.tolist() == [[0, 0]] * 3


@needs_numba
@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1.0, 1e30, 1e37])
def test_lengths_and_pulls_of_any_size_are_those_of_torch(scale):
    points = (torch.randn(9, 5, generator=torch.Generator().manual_seed(0)) * scale).requires_grad_()
    edges = torch.tensor([[0, 1], [1, 2], [5, 1], [7, 8], [8, 7], [4, 4]])
    grads = torch.tensor([1.0, -2.0, 0.5, 3.0, 1.0, 7.0])
    pure = edge_lengths(points, edges)
    (pull,) = torch.autograd.grad(pure, points, grads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "compiled", REAL)
        looped = edge_lengths(points, edges)
        assert_close(looped, pure, rtol=1e-6, atol=0)
        exact = edge_lengths(points.detach().double(), edges)
        least = 2.0**-150  # half of the smallest float32
        assert_close(looped.double(), exact, rtol=2.0**-24 * 1.001, atol=least)  # rounded once
        for found in (
            torch.autograd.grad(looped, points, grads, retain_graph=True)[0],
            torch.autograd.grad(looped, points, grads, create_graph=True)[0],
        ):
            # of numbers below float32's normal range a unit vector has few digits
            assert_close(
                found, pull, rtol=1e-2 if scale < 1e-38 else 1e-5, atol=1e-2 if scale < 1e-38 else 1e-6
            )


@needs_numba
def test_the_gradient_of_the_gradient_is_that_of_the_pure_path():
    points = torch.randn(20, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)

    def second():
        (first,) = torch.autograd.grad(h0_lengths(points).square().sum(), points, create_graph=True)
        return torch.autograd.grad(first.square().sum(), points)[0]

    pure = second()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "compiled", REAL)
        assert_close(second(), pure, rtol=1e-5, atol=1e-5)


# ---- in its place


@needs_numba
@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.lists(st.integers(0, 40), min_size=1, max_size=4),
    st.integers(1, 6),
    st.sampled_from(DTYPES),
    st.integers(0, 2**31),
)
def test_clouds_have_the_trees_of_the_pure_path(kind, sizes, d, dtype, seed):
    """One cloud of each size, alone, and a batch of the largest; their gradient is wanted."""
    if dtype == torch.float16 and kind == "huge":
        kind = "gaussian"
    rng = np.random.default_rng(seed)
    clouds = [torch.from_numpy(KINDS[kind](rng, n, d)).to(dtype) for n in sizes]
    clouds.append(torch.from_numpy(np.stack([KINDS[kind](rng, max(sizes), d) for _ in range(3)])).to(dtype))
    pure = [h0_edges(cloud.requires_grad_()) for cloud in clouds]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "compiled", REAL)
        looped = [h0_edges(cloud) for cloud in clouds]
    assert all(torch.equal(one, other) for one, other in zip(pure, looped, strict=True))


@needs_numba
def test_it_is_for_training(monkeypatch):
    """What needs no gradient does not wait for numba, nor does the tree of a cloud that is not small."""
    asked = []
    monkeypatch.setattr(compiled, "compiled", lambda loop, any_order=False: asked.append(loop))
    points = torch.randn(8, 3)
    h0_edges(points)
    assert not asked
    h0_edges(torch.randn(trees.FEW + 1, 3, requires_grad=True))
    assert set(asked) == {norms_of_edges}
    asked.clear()
    h0_edges(points.requires_grad_())
    h0_edges(torch.randn(2, 8, 3, requires_grad=True))
    for n in (8, 60):  # classes of both sizes that the loss knows
        PersistentEntropyLoss()(torch.randn(n, 3, requires_grad=True), torch.zeros(n, dtype=torch.long))
    assert [asked.count(loop) for loop in (squared_differences, kept_by_alpha)] == [4, 2]


@needs_numba
@pytest.mark.parametrize(
    "shape", [(2, 3), (trees.FEW, 9), (trees.FEW + 1, 9), (5, 16, 30), (3, 47, 8), (3, 60, 8)]
)
def test_lengths_and_gradients_are_those_of_the_pure_path(monkeypatch, shape):
    points = torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    pure = h0_lengths(points)
    (pull,) = torch.autograd.grad(pure.square().sum(), points)
    monkeypatch.setattr(compiled, "compiled", REAL)
    looped = h0_lengths(points)
    (same,) = torch.autograd.grad(looped.square().sum(), points)
    assert_close(looped, pure, rtol=1e-6, atol=0)
    assert_close(same, pull, rtol=1e-5, atol=1e-5)


@needs_numba
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("shape", [(9, 3), (2, 9, 3), (2, 60, 3)])
def test_what_is_not_finite_is_named(with_numba, bad, shape):
    points = torch.randn(shape)
    points[..., 4, 1] = bad
    with pytest.raises(ValueError, match="the first in row 4"):
        h0_edges(points.requires_grad_())


@needs_numba
@pytest.mark.parametrize("n", [9, 60])
def test_a_loss_of_what_is_not_finite_is_nan(with_numba, n):
    points = torch.randn(n, 3)
    points[4, 1] = math.nan
    loss = PersistentEntropyLoss()(points.requires_grad_(), torch.zeros(n, dtype=torch.long))
    assert loss.isnan()
