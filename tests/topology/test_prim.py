"""The compiled loop makes the trees of the pure path, edge by edge, and is missed by nobody."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.losses import PersistentEntropyLoss
from conescope.topology import compiled, h0_edges, h0_lengths, trees
from conescope.topology.prim import prim
from conescope.topology.recursion import kept_by_alpha
from tests.reference.spanning import kruskal
from tests.topology.clouds import KINDS
from tests.topology.loops import REAL, needs_numba

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.fixture(scope="module", params=["plain", pytest.param("compiled", marks=needs_numba)])
def loop(request):
    return prim if request.param == "plain" else REAL(prim)


@pytest.fixture
def with_numba(monkeypatch):
    monkeypatch.setattr(compiled, "compiled", REAL)


def products(points):
    return np.ascontiguousarray(points @ points.mT)


def everywhere(clouds, n):
    return np.ones((clouds, n), dtype=bool)


def test_a_path_by_hand(loop):
    """Points at 0, 1, 3 and 7, out of order: each is joined to the next."""
    points = np.array([[[0.0], [7], [1], [3]]])
    edges, certain = loop(products(points), everywhere(1, 4), 1e-15)
    assert edges.tolist() == [[[0, 2], [1, 3], [2, 3]]]
    assert certain.tolist() == [True]


def test_a_square_has_more_than_one_tree(loop):
    """Of its four sides any three will do: the smaller pairs are taken, and the tree is not certain."""
    points = np.array([[[0.0, 0], [1, 0], [0, 1], [1, 1]]])
    edges, certain = loop(products(points), everywhere(1, 4), 0.0)
    assert edges.tolist() == [[[0, 1], [0, 2], [1, 3]]]
    assert certain.tolist() == [False]


@pytest.mark.parametrize(("longer", "certain"), [(1e-9, False), (1e-2, True)])
def test_certainty_is_a_matter_of_the_roundoff(loop, longer, certain):
    """A triangle with sides 1, 1 and 1 + longer, whose squares may be wrong by 1e-6 of the greatest norm."""
    height = math.sqrt(1 - ((1 + longer) / 2) ** 2)
    points = np.array([[[0.0, 0], [1 + longer, 0], [(1 + longer) / 2, height]]])
    edges, found = loop(products(points), everywhere(1, 3), 1e-6)
    assert found.tolist() == [certain]
    assert edges.tolist() == [[[0, 2], [1, 2]]]


def test_absent_points_have_no_edge(loop):
    points = np.array([[[0.0], [9], [2], [1]]] * 3)
    present = np.array([[True, False, True, True], [False, True, False, False], [False] * 4])
    edges, certain = loop(products(points), present, 0.0)
    assert edges.tolist() == [[[0, 3], [2, 3], [0, 0]], [[0, 0]] * 3, [[0, 0]] * 3]
    assert certain.all()


@pytest.mark.parametrize("n", [0, 1])
def test_without_two_points_there_is_no_edge(loop, n):
    edges, certain = loop(np.ones((2, n, n)), everywhere(2, n), 0.0)
    assert edges.shape == (2, max(n - 1, 0), 2)
    assert certain.all()


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 20), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**31))
def test_ties_are_broken_by_the_smaller_pair(loop, n, d, values, seed):
    """Small integers: all is exact, and Kruskal by the textbook has the same ties."""
    points = np.random.default_rng(seed).integers(0, values, (1, n, d)).astype(float)
    squares = ((points[0][:, None] - points[0][None]) ** 2).sum(axis=2)
    edges, _ = loop(products(points), everywhere(1, n), 0.0)
    assert edges[0].tolist() == sorted([u, v] for u, v in kruskal(squares))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 12), st.integers(0, 2**31))
def test_a_tree_is_certain_if_no_other_one_comes_near(loop, n, seed):
    """By every pair that is not in the tree: how much longer is it than what it would replace?"""
    points = np.random.default_rng(seed).normal(size=(1, n, 3))
    share = 1e-2
    edges, certain = loop(products(points), everywhere(1, n), share)
    squares = ((points[0][:, None] - points[0][None]) ** 2).sum(axis=2)
    tree = {tuple(edge) for edge in edges[0].tolist()}
    slack = 2 * share * (points[0] ** 2).sum(axis=1).max()
    near = [
        squares[u, v] <= longest_between(tree, squares, u, v) + slack
        for u in range(n)
        for v in range(u + 1, n)
        if (u, v) not in tree
    ]
    assert certain.tolist() == [not any(near)]


def longest_between(tree, squares, u, v):
    """The longest edge of the path between two points of a tree."""
    reached = {u: 0.0}
    while v not in reached:
        for one, other in tree:
            for here, there in ((one, other), (other, one)):
                if here in reached and there not in reached:
                    reached[there] = max(reached[here], squares[here, there])
    return reached[v]


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
    """What needs no gradient, is large or is in groups does not wait for numba."""
    asked = []
    monkeypatch.setattr(compiled, "compiled", asked.append)
    points = torch.randn(8, 3)
    h0_edges(points)
    h0_edges(torch.randn(trees.FEW + 1, 3, requires_grad=True))
    assert not asked
    h0_edges(points.requires_grad_())
    h0_edges(torch.randn(2, 8, 3, requires_grad=True))
    for n in (8, 60):  # classes of both sizes that the loss knows
        PersistentEntropyLoss()(torch.randn(n, 3, requires_grad=True), torch.zeros(n, dtype=torch.long))
    assert [asked.count(loop) for loop in (prim, kept_by_alpha)] == [4, 2]


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
    assert torch.equal(pure, looped)
    assert torch.equal(pull, same)


@needs_numba
def test_one_cloud_whose_products_can_not_tell_is_measured(with_numba):
    """Two clusters far apart: products see no distance within them, differences do."""
    points = torch.tensor([[0.0], [3.0], [1.0], [2.0], [1e9], [1e9 + 2], [1e9 + 1]], dtype=torch.float64)
    assert h0_edges(points.requires_grad_())[:-1].tolist() == [[0, 2], [1, 3], [2, 3], [4, 6], [5, 6]]


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


def test_points_that_are_not_finite_have_edges_that_can_be_read(loop):
    points = np.array([[[0.0], [math.nan], [1], [3]]])
    edges, _ = loop(products(points), everywhere(1, 4), 0.0)
    assert edges.min() >= 0
    assert edges.max() < 4
