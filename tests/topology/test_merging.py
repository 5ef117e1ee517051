"""The tree of merges against SciPy's single linkage and its cophenetic distances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import pdist, squareform

from conescope.topology.merging import leaf_order, merged_pairs
from tests.reference.spanning import kruskal

seeds = st.integers(0, 2**31)


def chain(rng, n):
    return np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)


def star(rng, n):
    return np.stack([np.zeros(n - 1, dtype=int), np.arange(1, n)], axis=1)


def path(rng, n):
    """A chain through the points in random order."""
    return rng.permutation(n)[chain(rng, n)]


def broom(rng, n):
    """A chain that ends in a star."""
    half = n // 2
    return np.stack([np.minimum(np.arange(n - 1), half), np.arange(1, n)], axis=1)


def any_tree(rng, n):
    names = rng.permutation(n)
    return names[np.stack([[rng.integers(0, v) for v in range(1, n)], range(1, n)], axis=1).astype(int)]


def balanced(rng, n):
    """Each point below the one of half its number."""
    return np.stack([(np.arange(1, n) - 1) // 2, np.arange(1, n)], axis=1)


SHAPES = (chain, star, path, broom, any_tree, balanced)


def shuffled(shape, n, seed):
    """Edges u < v of a tree, of lengths 1, 2, 3, ... in random order of its edges."""
    rng = np.random.default_rng(seed)
    return rng.permutation(np.sort(shape(rng, n), axis=1).astype(np.int64).reshape(-1, 2))


def linkage_by_scipy(edges):
    """Single linkage of the points of a tree, whose k-th edge has length k + 1, by their greatest edges."""
    n = len(edges) + 1
    greatest = np.zeros((n, n))
    groups = [[point] for point in range(n)]
    for length, (u, v) in enumerate(edges.tolist(), start=1):  # from the definition: it joins two groups
        one, other = groups[u], groups[v]
        greatest[np.ix_(one, other)] = length
        greatest[np.ix_(other, one)] = length
        one += other
        for point in other:
            groups[point] = one
    return linkage(squareform(greatest), "single")


def check(edges):
    n = len(edges) + 1
    expected = linkage_by_scipy(edges)
    assert merged_pairs(edges).tolist() == expected[:, :2].astype(int).tolist()
    order = leaf_order(edges)
    assert sorted(order.points.tolist()) == list(range(n))
    assert sorted(order.gaps.tolist()) == list(range(n - 1))
    between = squareform(cophenet(expected))[np.ix_(order.points, order.points)]
    for start in range(n - 1):  # the greatest gap from here to each later place
        greatest = np.maximum.accumulate(order.gaps[start:]) + 1
        assert np.array_equal(greatest, between[start, start + 1 :])


def test_five_points_by_hand():
    """0 and 2 join, then 3 and 4, then 1 joins the first two, then all: clusters 5, 6, 7, 8."""
    edges = np.array([[0, 2], [3, 4], [1, 2], [2, 3]])
    assert merged_pairs(edges).tolist() == [[0, 2], [3, 4], [1, 5], [6, 7]]


def test_two_points():
    assert merged_pairs(np.array([[0, 1]])).tolist() == [[0, 1]]
    order = leaf_order(np.array([[0, 1]]))
    assert sorted(order.points.tolist()) == [0, 1]
    assert order.gaps.tolist() == [0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [2, 3, 4, 5, 33, 200])
def test_every_shape_of_tree(shape, n):
    check(shuffled(shape, n, seed=n))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_lengths_that_rise_or_fall_along_the_tree(shape, reverse):
    """Of a chain or star the deepest dendrogram: every merge adds one point."""
    edges = np.sort(shape(np.random.default_rng(0), 80), axis=1).astype(np.int64)
    check(edges[::-1].copy() if reverse else edges)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SHAPES), st.integers(2, 200), seeds)
def test_every_tree(shape, n, seed):
    check(shuffled(shape, n, seed))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60), st.integers(1, 5), seeds)
def test_clouds_as_scipy_links_them(n, d, seed):
    distances = pdist(np.random.default_rng(seed).normal(size=(n, d)))
    expected = linkage(distances, "single")
    edges = np.array(kruskal(squareform(distances)), dtype=np.int64)
    assert merged_pairs(edges).tolist() == expected[:, :2].astype(int).tolist()
    order = leaf_order(edges)
    heights = squareform(distances)[tuple(edges.T)]
    between = squareform(cophenet(expected))[np.ix_(order.points, order.points)]
    for start in range(n - 1):
        assert np.array_equal(np.maximum.accumulate(heights[order.gaps[start:]]), between[start, start + 1 :])


def test_ten_thousand_points_in_a_row():
    """As deep as a dendrogram can be: nothing may call itself for each merge."""
    n = 10_000
    edges = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)
    assert merged_pairs(edges).tolist() == [[0, 1]] + [[k + 1, n + k - 1] for k in range(1, n - 1)]
    order = leaf_order(edges)
    assert np.array_equal(np.sort(order.gaps), np.arange(n - 1))
    # the k earliest points are one cluster, so they fill k places in a row
    place = np.argsort(order.points)
    first, last = np.minimum.accumulate(place), np.maximum.accumulate(place)
    assert np.array_equal(last - first, np.arange(n))
