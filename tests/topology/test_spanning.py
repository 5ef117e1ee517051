"""Spanning trees of matrices: ties, missing edges and forests, against Kruskal by the textbook."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.topology.spanning import minimum_spanning_edges
from tests.reference.spanning import kruskal


def symmetric(values):
    return np.minimum(values, values.T)


def numbers(edges, n):
    """The edges as u * n + v, ascending, with n * n for each that is missing."""
    return sorted(u * n + v for u, v in edges) + [n * n] * (n - 1 - len(edges))


def found(matrices):
    return minimum_spanning_edges(torch.from_numpy(np.array(matrices))).tolist()


def test_a_path_by_hand():
    """0-1 costs 3, 1-2 costs 1, 0-2 costs 2: the dearest edge of the triangle stays out."""
    assert found([[[0.0, 3, 2], [3, 0, 1], [2, 1, 0]]]) == [[0 * 3 + 2, 1 * 3 + 2]]


def test_all_distances_equal():
    """Every edge ties with every other: the smallest pairs are those of point 0."""
    assert found(np.ones((1, 6, 6))) == [[1, 2, 3, 4, 5]]


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 30), st.integers(1, 6), st.integers(0, 2**31))
def test_ties_are_broken_by_the_smaller_pair(n, values, seed):
    matrix = symmetric(np.random.default_rng(seed).integers(0, values, (n, n)).astype(float))
    assert found([matrix]) == [numbers(kruskal(matrix), n)]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 20), st.floats(0, 1), st.integers(0, 2**31))
def test_a_graph_that_falls_apart_is_a_forest(n, missing, seed):
    """Clouds of one batch may fall apart in different ways."""
    rng = np.random.default_rng(seed)
    matrices = [symmetric(rng.integers(0, 9, (n, n)).astype(float)) for _ in range(4)]
    for matrix in matrices[1:]:
        gone = rng.random((n, n)) < missing
        matrix[gone | gone.T] = math.inf
    assert found(matrices) == [numbers(kruskal(matrix), n) for matrix in matrices]


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(0, 2**31))
def test_any_increasing_function_of_the_distance_serves(n, seed):
    matrix = symmetric(np.random.default_rng(seed).random((n, n)))
    assert found([matrix]) == found([np.exp(5 * matrix)]) == found([np.sqrt(matrix) - 3])


@pytest.mark.parametrize("n", [2, 3, 4, 5, 7, 8, 9, 15, 31, 63, 64, 65, 127, 129])
def test_a_chain_of_growing_gaps_is_one_path(n):
    """Every point chooses its left neighbor: one round, and the longest path of choices there can be."""
    place = np.cumsum(np.arange(n)).astype(float)
    matrix = np.abs(place[:, None] - place[None, :])
    assert found([matrix]) == [[k * n + k + 1 for k in range(n - 1)]]


@pytest.mark.parametrize("levels", [1, 2, 5, 7])
def test_trees_that_merge_in_pairs_need_all_rounds(levels):
    """Ultrametric: the distance of two points is the highest bit in which their numbers differ."""
    n = 2**levels
    number = np.arange(n)
    matrix = np.frexp((number[:, None] ^ number[None, :]).astype(float))[1].astype(float)
    assert found([matrix]) == [numbers(kruskal(matrix), n)]


def test_a_graph_without_edges():
    assert found(np.full((2, 3, 3), math.inf)) == [[9, 9], [9, 9]]


def shown(matrices, patch):
    """The edges that an accelerator finds: by tensor operations of fixed shapes."""
    with patch.context() as inner:
        inner.setattr(torch.compiler, "is_compiling", lambda: True)
        return found(matrices)


@pytest.mark.parametrize("seed", range(20))
def test_both_ways_find_the_same(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    n, count = int(rng.integers(1, 40)), int(rng.integers(0, 6))
    values = rng.integers(0, rng.integers(2, 50), (count, n, n)).astype(rng.choice(["f4", "f8"]))
    matrices = np.minimum(values, values.transpose(0, 2, 1))
    gone = rng.random((count, n, n)) < rng.choice([0, 0.5])
    matrices[gone | gone.transpose(0, 2, 1)] = math.inf
    assert found(matrices) == shown(matrices, monkeypatch)


def test_nan_is_no_edge(monkeypatch):
    """What is not a number spoils the nearest point of each row it stands in; the rest is a forest."""
    matrix = np.array([[0.0, 1, 5, 9], [1, 0, 4, 9], [5, 4, 0, math.nan], [9, 9, math.nan, 0]])
    assert found([matrix])[0][-1] == 16
    assert found([matrix]) == shown([matrix], monkeypatch)


def test_one_point_and_no_point():
    assert found(np.zeros((2, 1, 1))) == [[], []]
    assert found(np.zeros((2, 0, 0))) == [[], []]
