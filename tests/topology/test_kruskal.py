"""The tree among candidate edges, against Kruskal by the textbook, and SciPy where zeros do not stop it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import pdist, squareform

from conescope.topology.kruskal import tree_of_candidates
from tests.reference.spanning import is_tree, kruskal

seeds = st.integers(0, 2**31)
both = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def all_pairs(n):
    return np.stack(np.triu_indices(n, 1), axis=1).astype(np.int64)


def taken(edges, lengths, n):
    return [tuple(edge) for edge in edges[tree_of_candidates(edges, lengths, n)].tolist()]


def test_a_square_and_its_diagonals():
    edges = np.array([[0, 2], [0, 1], [1, 3], [1, 2], [2, 3], [0, 3]])
    lengths = np.array([1.5, 1.0, 1.4, 1.2, 1.1, 1.3])
    assert tree_of_candidates(edges, lengths, 4).tolist() == [1, 4, 3]  # by rows, ascending by length


def test_one_point_has_no_edge_and_two_points_one():
    assert tree_of_candidates(np.zeros((0, 2), dtype=np.int64), np.zeros(0), 1).tolist() == []
    assert tree_of_candidates(np.array([[0, 1]]), np.array([0.0]), 2).tolist() == [0]


@both
@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 40), d=st.integers(1, 5), seed=seeds)
def test_agrees_with_scipy_on_dense_graphs(dtype, n, d, seed):
    lengths = pdist(np.random.default_rng(seed).normal(size=(n, d))).astype(dtype)
    edges = all_pairs(n)
    expected = minimum_spanning_tree(squareform(lengths)).tocoo()
    rows = tree_of_candidates(edges, lengths, n)
    found = {(u, v): length for (u, v), length in zip(edges[rows].tolist(), lengths[rows], strict=True)}
    assert found == {
        (min(u, v), max(u, v)): length
        for u, v, length in zip(expected.row, expected.col, expected.data.astype(dtype), strict=True)
    }
    assert (np.diff(lengths[rows]) >= 0).all()


@both
@settings(max_examples=80, deadline=None)
@given(n=st.integers(2, 25), levels=st.integers(1, 5), seed=seeds)
def test_ties_and_zeros_go_by_the_order_given(dtype, n, levels, seed):
    """With pairs given in their order that is the textbook's rule: of equal lengths the smaller pair."""
    matrix = squareform(np.random.default_rng(seed).integers(0, levels, n * (n - 1) // 2).astype(dtype))
    edges = all_pairs(n)
    assert taken(edges, matrix[tuple(edges.T)], n) == kruskal(matrix)


@both
def test_of_equal_edges_that_given_first_is_taken(dtype):
    edges = np.array([[1, 2], [0, 2], [0, 1]])
    assert tree_of_candidates(edges, np.ones(3, dtype=dtype), 3).tolist() == [0, 1]
    assert tree_of_candidates(edges[::-1].copy(), np.zeros(3, dtype=dtype), 3).tolist() == [0, 1]


@both
@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 20), copies=st.integers(2, 4), seed=seeds)
def test_a_pair_given_more_than_once_counts_by_its_shortest_length(dtype, n, copies, seed):
    rng = np.random.default_rng(seed)
    pairs = all_pairs(n)
    order = rng.permutation(copies * len(pairs))
    edges = np.tile(pairs, (copies, 1))[order]
    lengths = rng.permutation(len(order)).astype(dtype)  # all different, and 0 is one of them
    matrix = np.full((n, n), np.inf)
    np.minimum.at(matrix, tuple(edges.T), lengths)
    rows = tree_of_candidates(edges, lengths, n)
    assert [tuple(edge) for edge in edges[rows].tolist()] == kruskal(matrix)
    assert lengths[rows].tolist() == [matrix[u, v] for u, v in edges[rows]]


@both
def test_minus_zero_is_zero(dtype):
    """As a pattern of bits it would be the greatest number of all."""
    edges = np.array([[0, 1], [1, 2], [0, 2], [2, 3]])
    lengths = np.array([1.0, -0.0, 0.0, -0.0], dtype=dtype)
    assert tree_of_candidates(edges, lengths, 4).tolist() == [1, 2, 3]


@both
def test_subnormal_and_huge_lengths_keep_their_order(dtype):
    info = np.finfo(dtype)
    edges = np.array([[0, 1], [1, 2], [2, 3], [3, 4]])
    lengths = np.array([info.max, info.smallest_subnormal, 1.0, info.tiny], dtype=dtype)
    assert tree_of_candidates(edges, lengths, 5).tolist() == [1, 3, 2, 0]


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 60), more=st.integers(0, 60), seed=seeds)
def test_few_candidates_that_connect_all_points(n, more, seed):
    """A random tree and some edges more, as the search of a large cloud hands over."""
    rng = np.random.default_rng(seed)
    tree = np.stack([[rng.integers(0, v) for v in range(1, n)], range(1, n)], axis=1)
    others = all_pairs(n)[rng.integers(0, n * (n - 1) // 2, more)]
    edges = np.concatenate([tree, others]).astype(np.int64)
    lengths = rng.uniform(size=len(edges))
    matrix = np.full((n, n), np.inf)
    np.minimum.at(matrix, tuple(edges.T), lengths)
    found = taken(edges, lengths, n)
    assert found == kruskal(matrix)
    assert is_tree(found, n)
