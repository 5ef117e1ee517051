"""The certified tree of one matrix: exact whatever the products lose, or no answer at all."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from conescope.topology import dense
from conescope.topology.dense import bounds, dense_tree, rough_tree, squared_norms
from conescope.topology.lengths import edge_lengths
from conescope.topology.placing import centered_single, ordinary
from conescope.topology.rips import h0_lengths
from conescope.topology.trees import spanning_edges
from tests.reference.spanning import is_tree, kruskal_edges, prim_lengths
from tests.topology.clouds import KINDS

RTOL = {torch.float32: 1e-6, torch.float64: 1e-9}
seeds = st.integers(0, 2**31)


@pytest.fixture
def all_measured(monkeypatch):
    monkeypatch.setattr(dense, "MEASURED", 10**6)


def cloud(kind, n, d, seed=0, dtype=torch.float32):
    return torch.from_numpy(KINDS[kind](np.random.default_rng(seed), n, d)).to(dtype)


def check(points, edges):
    """These edges are a minimum spanning tree of the points: that of Prim, length by length."""
    assert edges is not None
    pairs = edges.tolist()
    assert all(0 <= u < v < len(points) for u, v in pairs)
    assert is_tree(pairs, len(points))
    found = edge_lengths(points, edges).sort().values.double().numpy()
    np.testing.assert_allclose(found, prim_lengths(points.double().numpy()), rtol=RTOL[points.dtype], atol=0)


def near_cluster(n, d, radius=1e-5):
    """Half of the points within `radius` of one place, far from the mean."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(n, d))
    points[::2] = points[0] + radius * rng.normal(size=(len(points[::2]), d))
    return points


def two_far_clusters(n, d, spread):
    rng = np.random.default_rng(1)
    return np.where(np.arange(n)[:, None] % 2, 1e3, -1e3) + spread * rng.normal(size=(n, d))


# ---- the tree


@pytest.mark.parametrize("d", [1, 2, 20, 768])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_cloud(kind, d, all_measured):
    for n in (1, 3, 70) if d == 768 else (1, 2, 3, 64, 130):
        for dtype in RTOL:
            points = cloud(kind, n, d, seed=n, dtype=dtype)
            check(points, dense_tree(points))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["gaussian", "clusters", "uneven_axes", "tiny"]), st.integers(1, 90), seeds)
def test_the_same_edges_as_kruskal(kind, n, seed):
    points = cloud(kind, n, 3, seed, torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense, "MEASURED", 10**6)
        found = dense_tree(points)
    assert sorted(map(tuple, found.tolist())) == sorted(kruskal_edges(points.numpy()))


@pytest.mark.parametrize(("kind", "d"), [("grid", 1), ("grid", 3), ("grid", 6), ("all_equal", 2)])
def test_ties_are_broken_by_the_smaller_pair(kind, d, all_measured):
    """Small integers: lengths are exact, so the tree is that of the order (length, u, v)."""
    points = cloud(kind, 120, d, seed=5)
    assert sorted(map(tuple, dense_tree(points).tolist())) == sorted(kruskal_edges(points.numpy()))


def test_a_chain_of_growing_gaps_is_one_path():
    """Every point leads to its left neighbor: the longest path of choices there can be, at each size."""
    for n in (2, 3, 4, 5, 8, 9, 16, 17, 33, 64, 65, 128, 129):
        points = torch.arange(n, dtype=torch.float64).cumsum(0)[:, None]
        assert sorted(dense_tree(points).tolist()) == [[k, k + 1] for k in range(n - 1)]
        assert sorted(rough_tree(points.float()).tolist()) == [[k, k + 1] for k in range(n - 1)]


@pytest.mark.parametrize("dtype", list(RTOL))
@pytest.mark.parametrize(
    "points",
    [
        near_cluster(150, 3),
        near_cluster(100, 64),
        two_far_clusters(150, 4, 1e-2),
        two_far_clusters(100, 100, 1e-3),
    ],
    ids=["near 3", "near 64", "far 4", "far 100"],
)
def test_near_ties_that_products_cannot_tell_apart(points, dtype, all_measured):
    """In float32 a squared distance is off by about 1e-7 of the squared norm, which is more than it is."""
    points = torch.from_numpy(points).to(dtype)
    rows = centered_single(points)
    squares = (points[:, None].double() - points[None].double()).square().sum(dim=2)
    off = (bounds(rows, squared_norms(rows))[0].double() - squares).abs()
    assert (off > squares)[~torch.eye(len(points), dtype=torch.bool)].any()
    check(points, dense_tree(points))


@pytest.mark.parametrize("scale", [1e-30, 1e-19, 1e-12, 1e12, 1e25])
def test_extreme_scales(scale):
    for dtype in RTOL:
        points = (cloud("gaussian", 90, 5, dtype=torch.float64) * scale).to(dtype)
        check(points, dense_tree(points))


def test_a_cluster_whose_squares_vanish_beside_far_points(all_measured):
    """Mean zero, coordinates of 1e-23: their float32 squares are zero."""
    points = cloud("gaussian", 60, 3) * 1e-23
    points[0], points[1] = 1.0, -1.0
    check(points, dense_tree(points))


# ---- too many to measure


@pytest.mark.parametrize(
    "points",
    [torch.eye(120), torch.cartesian_prod(*[torch.arange(5.0)] * 3), torch.arange(200.0)[:, None] // 100],
    ids=["one-hot", "grid", "copies"],
)
def test_no_answer_where_too_many_must_be_measured(points, monkeypatch):
    monkeypatch.setattr(dense, "MEASURED", 2)
    assert dense_tree(points) is None
    expected = kruskal_edges(points.numpy())
    found = spanning_edges(points)
    check(points, found)
    if len(points) != 200:  # copies are joined to the first of their kind
        assert sorted(map(tuple, found.tolist())) == sorted(expected)
    monkeypatch.setattr(dense, "MEASURED", 10**6)
    assert sorted(map(tuple, dense_tree(points).tolist())) == sorted(expected)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_with_nothing_to_be_measured_the_tree_is_still_right(kind, monkeypatch):
    monkeypatch.setattr(dense, "MEASURED", 0)
    for d in (1, 2, 20):
        points = cloud(kind, 150, d, seed=d)
        edges = dense_tree(points)
        if edges is not None:
            check(points, edges)
        check(points, spanning_edges(points))
        np.testing.assert_allclose(
            h0_lengths(points).numpy(), prim_lengths(points.numpy()), rtol=1e-6, atol=0
        )


# ---- the bounds


def exact_squares(points):
    rows = [[Fraction(x) for x in row] for row in points.tolist()]
    return [[sum((a - b) ** 2 for a, b in zip(u, v, strict=True)) for v in rows] for u in rows]


def check_bounds(points):
    """lower <= |x - y|^2 <= lower + width + width, in fractions, and the last sum as float32 adds it."""
    rows = centered_single(points)
    lower, width = bounds(rows, squared_norms(rows))
    upper = lower + width[:, None] + width
    exact = exact_squares(ordinary(points))
    for i in range(len(points)):
        for j in range(len(points)):
            assert Fraction(lower[i, j].item()) <= exact[i][j] <= Fraction(upper[i, j].item()), (i, j)


placements = st.tuples(
    st.integers(1, 9),
    st.sampled_from([1, 2, 3, 17, 64]),
    st.sampled_from([0.0, 1e-3, 1.0, 1e3]),
    st.sampled_from([1e-13, 1e-5, 1.0, 1e10]),
    st.sampled_from([torch.float32, torch.float64]),
    st.booleans(),
    seeds,
)


def placement(n, d, offset, scale, dtype, near, seed):
    rng = np.random.default_rng(seed)
    points = rng.choice([-1, 1], size=(n, 1)) * offset + rng.normal(size=(n, d)) * (1e-6 if near else 1)
    return torch.from_numpy(points * scale).to(dtype)


@settings(max_examples=40, deadline=None)
@given(placements)
def test_bounds_hold(which):
    check_bounds(placement(*which))


def coarse_addmm(precise):
    """A product whose factors are rounded to bfloat16 first."""

    def addmm(added, one, other, **kwargs):
        return precise(added, one.bfloat16().float(), other.bfloat16().float(), **kwargs)

    return addmm


@settings(max_examples=40, deadline=None)
@given(placements)
def test_bounds_hold_for_factors_that_torch_may_round(which):
    points = placement(*which)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "addmm", coarse_addmm(torch.addmm))
        patch.setattr(dense, "product_roundoff", lambda device: 2.0**-8)
        check_bounds(points)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_coarse_products_give_the_same_tree(kind, monkeypatch, all_measured):
    points = cloud(kind, 120, 20)
    expected = dense_tree(points)
    monkeypatch.setattr(torch, "addmm", coarse_addmm(torch.addmm))
    monkeypatch.setattr(dense, "product_roundoff", lambda device: 2.0**-8)
    found = dense_tree(points)
    check(points, found)
    assert sorted(found.tolist()) == sorted(expected.tolist())


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(2, 40), st.floats(0, 1), seeds)
def test_any_bounds_that_hold_give_the_exact_tree(kind, n, looseness, seed):
    """Also bounds that differ between the two entries of a pair, and between points."""
    rng = np.random.default_rng(seed)
    points = cloud(kind, n, 2, seed, torch.float64)
    unit = 2.0 ** np.floor(np.log2(float(points.abs().max())))
    squares = ((points[:, None] - points[None]) / unit).square().sum(dim=2).numpy()
    width = looseness * np.median(squares) * rng.random(n) + 1e-5 * squares.max() + 1e-6
    room = width[:, None] + width
    lower = squares - room * (0.01 + 0.98 * rng.integers(0, 2, (n, n)))

    def given_bounds(rows, squares):
        return torch.from_numpy(lower).float(), torch.from_numpy(width).float()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense, "MEASURED", 10**6)
        patch.setattr(dense, "bounds", given_bounds)
        check(points, dense_tree(points))


# ---- rough trees


def connected(edges, n):
    first, second = edges.T.numpy()
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(n, n))
    return connected_components(graph, directed=False)[0] == 1


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_rough_trees_connect(kind):
    for n, d in ((1, 3), (2, 1), (57, 2), (130, 20)):
        points = cloud(kind, n, d)
        edges = rough_tree(centered_single(points))
        assert connected(edges, n)
        least = prim_lengths(points.numpy()).sum()
        if kind in ("gaussian", "uneven_axes", "tiny", "huge"):
            assert float(edge_lengths(points, edges).sum()) == pytest.approx(least, rel=1e-3)


def test_a_circle_of_rough_edges_ends():
    """A hexagon of sides sqrt 2 and sqrt 8 in turn: each of three pairs of points leads to the next one."""
    points = torch.tensor([[3.0, 0, 1], [1, 3, 0], [0, 1, 3], [3, 1, 0], [0, 3, 1], [1, 0, 3]])
    edges = rough_tree(points)
    assert connected(edges, 6)
    lengths = edge_lengths(points, edges).square().round()
    assert sorted(lengths.tolist())[:5] == [2, 2, 2, 8, 8]
    check(points, dense_tree(points))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 60), st.integers(1, 3), seeds)
def test_rough_trees_connect_where_choices_go_around(n, values, seed):
    """Lower bounds that are neither true nor symmetric, with many ties: circles of every length."""
    lower = torch.from_numpy(np.random.default_rng(seed).integers(0, values, (n, n))).float()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense, "bounds", lambda rows, squares: (lower.clone(), torch.zeros(n)))
        edges = rough_tree(torch.zeros(n, 1))
    assert connected(edges, n)
