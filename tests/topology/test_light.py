"""One look at every pair: the exact tree, whatever the first tree, the order, the numbers and the sizes."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from conescope._copies import distinct_rows
from conescope.topology import factors, light
from conescope.topology.lengths import edge_lengths
from conescope.topology.light import Tree, light_tree
from conescope.topology.placing import centered_single
from conescope.topology.rips import h0_lengths
from tests.reference.spanning import kruskal_edges, prim_lengths
from tests.topology.clouds import KINDS

RTOL = {torch.float16: 1e-6, torch.bfloat16: 1e-6, torch.float32: 1e-6, torch.float64: 1e-9}
SMALL = {"BLOCK": 32, "GROUP": 4, "ENTRIES": 1 << 10, "GATHERED": 1 << 10, "PARTS": (128,)}
SIZES = [
    {},
    {"BLOCK": 64, "GROUP": 8, "ENTRIES": 1 << 12, "PARTS": (64, 256)},
    {"PIVOTS": 1},
    {"PIVOTS": 200, "CELL": 2, "PARTS": ()},
    {"MANY": 0},
    {"MANY": 1, "BETTER": 2.0, "PIVOTS": 1},  # every improvement begins a new order, as often as it may
]


def numbers(request, patch):
    patch.setattr(factors, "multiplies_bfloat16", lambda device: request == "bfloat16")


def sizes(patch, **changed):
    for name, size in (SMALL | changed).items():
        patch.setattr(light, name, size)
    patch.setattr(factors, "ENTRIES", (SMALL | changed)["ENTRIES"])


@pytest.fixture(params=["bfloat16", "float32"])
def small(request, monkeypatch):
    numbers(request.param, monkeypatch)
    sizes(monkeypatch)


def distinct(points):
    return distinct_rows(points)[0]


def cloud(kind, n, d, seed=0, dtype=torch.float32):
    points = torch.from_numpy(KINDS[kind](np.random.default_rng(seed), n, d)).to(dtype)
    points = distinct(points)
    return points[torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))]


def spanning(edges, n):
    """n - 1 edges u < v that connect n points."""
    first, second = edges.T.numpy()
    graph = coo_array((np.ones(n - 1), (first, second)), shape=(n, n))
    assert len(edges) == n - 1
    return bool((first < second).all()) and connected_components(graph, directed=False)[0] == 1


def check(points, edges, true=None):
    """These edges are a minimum spanning tree of the points, ascending: that of Prim, length by length."""
    assert spanning(edges, len(points))
    lengths = edge_lengths(points, edges).double().numpy()
    true = prim_lengths(points.double().numpy()) if true is None else true
    np.testing.assert_allclose(np.sort(lengths), true, rtol=RTOL[points.dtype], atol=0)
    np.testing.assert_allclose(np.sort(lengths), lengths, rtol=1e-6, atol=0)


# ---- the tree


@pytest.mark.parametrize("d", [1, 30])
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"all_equal"}))
def test_every_kind_of_cloud(kind, d, small):
    for n, dtype in ((233, torch.float32), (160, torch.float64)):
        points = cloud(kind, n, d, n, dtype)
        if len(points) > 1:
            check(points, light_tree(points))


@pytest.mark.parametrize("changed", SIZES, ids=str)
@pytest.mark.parametrize("kind", ["clusters", "grid"])
def test_every_way_through_the_cloud(kind, changed, small, monkeypatch):
    sizes(monkeypatch, **changed)
    points = cloud(kind, 500, 6)
    assert len(points) > 450
    check(points, light_tree(points))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(set(KINDS) - {"all_equal"})),
    st.integers(2, 200),
    st.integers(1, 8),
    st.sampled_from(SIZES),
    st.sampled_from(["bfloat16", "float32"]),
    st.sampled_from(list(RTOL)),
    st.integers(0, 2**31),
)
def test_any_cloud(kind, n, d, changed, which, dtype, seed):
    if dtype == torch.float16 and kind == "huge":
        kind = "gaussian"
    points = cloud(kind, n, d, seed, dtype)
    if len(points) < 2:
        points = torch.tensor([[0.0], [3.0]]).to(dtype)
    with pytest.MonkeyPatch.context() as patch:
        numbers(which, patch)
        sizes(patch, **changed)
        check(points, light_tree(points))


def two_clusters(rng, n, d):
    return np.where(np.arange(n)[:, None] % 2, 1e3, -1e3) + 0.01 * rng.normal(size=(n, d))


def near_duplicates(rng, n, d):
    return rng.normal(size=(n // 40, d))[rng.integers(0, n // 40, n)] * (1 + 1e-6 * rng.normal(size=(n, d)))


def vanishing(rng, n, d):
    """A cluster of coordinates so small that their float32 squares are zero, between two far points."""
    points = 1e-23 * rng.normal(size=(n, d))
    points[0], points[1] = 1.0, -1.0
    return points


HARD = [two_clusters, near_duplicates, vanishing]


@pytest.mark.parametrize("kind", HARD, ids=lambda kind: kind.__name__)
def test_clouds_that_products_cannot_tell_apart(kind, small):
    points = distinct(torch.from_numpy(kind(np.random.default_rng(0), 300, 8)).float())
    check(points, light_tree(points))


@pytest.mark.parametrize("many", [0, 32])
def test_all_distances_equal(many, small, monkeypatch):
    monkeypatch.setattr(light, "MANY", many)
    points = torch.eye(160)
    check(points, light_tree(points), np.full(159, np.sqrt(2)))


@pytest.mark.parametrize("scale", [1e-35, 1e-14, 5e14, 1e35])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_scales(scale, dtype, small):
    """Also with gaps of thousands of units, between clusters."""
    for points in (cloud("gaussian", 165, 3), cloud("clusters", 165, 3)):
        check((points.double() * scale).to(dtype), light_tree((points.double() * scale).to(dtype)))


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_products_that_torch_may_round(precision, small):
    points = cloud("gaussian", 401, 64)
    points[:, 0] *= 30
    true = prim_lengths(points.numpy())
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        check(points, light_tree(points), true)
    finally:
        torch.set_float32_matmul_precision(before)


def test_real_sizes(monkeypatch):
    points = cloud("gaussian", 7000, 8)
    true = prim_lengths(points.numpy())
    for which in ("bfloat16", "float32"):
        numbers(which, monkeypatch)
        check(points, light_tree(points), true)


def test_the_same_answer_every_time(small):
    for kind in ("gaussian", "grid"):
        points = cloud(kind, 500, 5)
        first = light_tree(points)
        torch.rand(3)
        assert torch.equal(light_tree(points), first)


# ---- no pair is missed


def half_way(clusters, each, d):
    """Clusters about places half way between two bfloat16 numbers in every coordinate, and their mirror
    images: points of a cluster are rounded apart, by a hundred times their distance, and the mean is zero."""
    rng = np.random.default_rng(0)
    ulp = 2.0**-7
    places = rng.choice([-1, 1], size=(clusters, 1, d)) * (
        1 + ulp * (rng.integers(0, 9, (clusters, 1, d)) + 0.5)
    )
    points = places + 0.004 * ulp * rng.choice([-1, 1], size=(clusters, each, d)) * (
        1 + 0.1 * rng.random((clusters, each, d))
    )
    points = points.reshape(-1, d)
    return torch.from_numpy(np.concatenate([points, -points])).float()


def spoiled_trees(points):
    """The exact tree with one edge exchanged for the next best one: for each edge in turn."""
    n = len(points)
    edges = np.array(kruskal_edges(points.numpy()))
    distances = np.linalg.norm(points.double().numpy()[:, None] - points.double().numpy()[None], axis=2)
    for k in range(0, n - 1, 9):
        rest = np.delete(edges, k, axis=0)
        graph = coo_array((np.ones(n - 2), tuple(rest.T)), shape=(n, n))
        side = connected_components(graph, directed=False)[1]
        crossing = np.where(side[:, None] != side[None], distances, np.inf)
        crossing[edges[k, 0], edges[k, 1]] = crossing[edges[k, 1], edges[k, 0]] = np.inf
        other = np.sort(np.unravel_index(crossing.argmin(), crossing.shape))
        yield torch.from_numpy(np.concatenate([rest, other[None]]))


@pytest.mark.parametrize(
    "points",
    [half_way(8, 6, 64), cloud("gaussian", 96, 8), cloud("far_from_the_origin", 96, 30)],
    ids=["half way", "gaussian", "far"],
)
def test_every_edge_that_is_missing_is_found(points, small):
    """The bound of the missing pair is as tight as it can be: the length of the next best edge."""
    true = prim_lengths(points.numpy())
    low = factors.factors_of(centered_single(points))
    if low.output and len(points) == 96 and points.shape[1] == 64:  # rounding does tear the clusters apart
        apart = low.left[:6, :64].float()
        assert torch.pdist(apart).min() > 20 * torch.pdist(points[:6]).max()
    for edges in spoiled_trees(points):
        tree = light._best(edges, light.measured(points, edges), len(points), None)
        found, done = light._Search(points, low, tree, len(points), None).run(may_stop=False)
        assert done
        check(points, torch.from_numpy(found.edges), true)


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(["gaussian", "clusters", "grid", "uneven_axes"]),
    st.integers(20, 120),
    st.integers(0, 2**31),
)
def test_any_first_tree_will_do(kind, n, seed):
    """Each point is joined to one before it, drawn at random."""
    points = cloud(kind, n, 3, seed)
    n = len(points)
    later = np.arange(1, n)
    edges = torch.from_numpy(np.stack([np.random.default_rng(seed).integers(0, later), later], axis=1))
    with pytest.MonkeyPatch.context() as patch:
        sizes(patch)
        numbers("bfloat16" if seed % 2 else "float32", patch)
        tree = light._best(edges, light.measured(points, edges), n, None)
        low = factors.factors_of(centered_single(points))
        found, _ = light._Search(points, low, tree, n, None).run(may_stop=False)
    assert isinstance(found, Tree)
    check(points, torch.from_numpy(found.edges))


# ---- without being exact


@pytest.mark.parametrize("kind", ["clusters", "grid"])
def test_a_tree_of_short_edges(kind, small):
    """The k-th shortest edge of any spanning tree is at least as long as that of the minimum one."""
    points = cloud(kind, 900, 5)
    told = []
    edges = light_tree(points, exact=False, progress=told.append)
    assert spanning(edges, len(points))
    lengths = edge_lengths(points, edges).sort().values.double().numpy()
    true = prim_lengths(points.numpy())
    assert (lengths >= true * (1 - 1e-6)).all()
    assert true.sum() * (1 - 1e-6) <= lengths.sum() < 1.5 * true.sum()
    assert told[-1] == 1.0


# ---- progress, interruption, memory


@pytest.mark.parametrize("changed", SIZES, ids=str)
@pytest.mark.parametrize("n", [5, 205])
def test_progress_rises_to_one(n, changed, small, monkeypatch):
    sizes(monkeypatch, **changed)
    told = []
    light_tree(cloud("gaussian", n, 12), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert 0 < told[0] <= 1


def test_an_interruption_comes_out_and_leaves_nothing_behind(small):
    points = cloud("gaussian", 300, 5)
    expected = light_tree(points)
    told = []

    def interrupted(share):
        told.append(share)
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        light_tree(points, progress=interrupted)
    assert 0.5 < told[-1] < 1
    assert torch.equal(light_tree(points), expected)


def test_an_interruption_of_the_public_function():
    points = cloud("gaussian", 6200, 2)

    def interrupted(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        h0_lengths(points, progress=interrupted)
    assert torch.equal(h0_lengths(points), h0_lengths(points, progress=lambda share: None))


PEAK = """
import torch
from conescope.topology import h0_lengths
from conescope.topology.light import light_tree

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

torch.set_num_threads(1)
points = torch.randn(12000, 16, generator=torch.Generator().manual_seed(0))
light_tree(points[:100])
before = peak()
print(len(h0_lengths(points)), peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_memory_is_a_fraction_of_the_matrix():
    """12000^2 float32 are 549 MB. A block of products has 4 M entries: 8 or 16 MB, and as much to compare."""
    ran = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    bars, more = ran.stdout.split()
    assert int(bars) == 11999
    assert 1 < float(more) < 130
