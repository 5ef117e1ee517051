"""One tree, whichever way its cloud goes: across the borders of size, with copies, under any setting."""

from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.topology import light, products, trees
from conescope.topology.lengths import edge_lengths, edge_lengths_of_clouds
from conescope.topology.trees import forest_edges, padded_edges, spanning_edges
from tests.reference.spanning import is_tree, kruskal_edges, prim_lengths
from tests.topology.clouds import KINDS


def cloud(kind, n, d, seed=0, dtype=torch.float32):
    return torch.from_numpy(KINDS[kind](np.random.default_rng(seed), n, d)).to(dtype)


def check(points, edges):
    pairs = edges.tolist()
    assert all(u < v for u, v in pairs)
    assert is_tree(pairs, len(points))
    lengths = edge_lengths(points, edges).sort().values.double().numpy()
    rtol = 1e-9 if points.dtype == torch.float64 else 1e-6
    np.testing.assert_allclose(lengths, prim_lengths(points.double().numpy()), rtol=rtol, atol=0)


def borders(patch, large=40):
    patch.setattr(trees, "LARGE", large)
    sizes = {"BLOCK": 32, "GROUP": 4, "ENTRIES": 1 << 10, "GATHERED": 1 << 10, "PARTS": (128,)}
    for name, size in sizes.items():
        patch.setattr(light, name, size)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.integers(1, 80),
    st.integers(1, 6),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    st.integers(0, 2**31),
)
def test_all_sizes_and_kinds(kind, n, d, dtype, seed):
    if dtype == torch.float16 and kind == "huge":
        kind = "gaussian"
    points = cloud(kind, n, d, seed, dtype)
    with pytest.MonkeyPatch.context() as patch:
        borders(patch)
        check(points, spanning_edges(points))


@pytest.mark.parametrize("n", [10, 39, 40, 41])
def test_both_sides_of_the_border(n, monkeypatch):
    """The same edges as Kruskal, which way ever: in general position there is one tree only."""
    borders(monkeypatch)
    points = cloud("gaussian", n, 4, dtype=torch.float64)
    found = spanning_edges(points)
    assert sorted(map(tuple, found.tolist())) == sorted(kruskal_edges(points.numpy()))


@pytest.mark.parametrize(("ways", "large"), [(["light"], 40), (["dense"], 10**6)])
def test_each_way_is_taken(ways, large, monkeypatch):
    borders(monkeypatch, large)
    taken = []
    for name, function in (("light", "light_tree"), ("dense", "dense_tree"), ("padded", "padded_edges")):
        right = getattr(trees, function)

        def counted(*args, right=right, name=name, **kwargs):
            taken.append(name)
            return right(*args, **kwargs)

        monkeypatch.setattr(trees, function, counted)
    points = cloud("gaussian", 60, 4)
    check(points, spanning_edges(points))
    assert taken == ways


@pytest.mark.parametrize("large", [100, 10**6])
@pytest.mark.parametrize("kinds", [1, 3, 150])
def test_copies_are_joined_to_the_first_of_their_kind(kinds, large, monkeypatch):
    borders(monkeypatch, large=large)
    rng = np.random.default_rng(kinds)
    kind = np.concatenate([rng.permutation(kinds), rng.integers(0, kinds, 600 - kinds)])
    points = torch.from_numpy(rng.normal(size=(kinds, 3))[kind]).float()
    points[::2] += 0.0
    edges = spanning_edges(points)
    check(points, edges)
    first = {k: int(np.flatnonzero(kind == k)[0]) for k in range(kinds)}
    same = [(u, v) for u, v in edges.tolist() if kind[u] == kind[v]]
    if large == 100 or kinds < 10:  # else one matrix tells them apart
        assert sorted(same) == sorted((first[kind[v]], v) for v in range(600) if first[kind[v]] != v)
    assert len(same) == 600 - kinds


@pytest.mark.parametrize("exact", [True, False])
def test_a_large_cloud_of_two_kinds(exact):
    """The real borders: thousands of copies leave two points, and one edge between them."""
    points = torch.zeros(trees.LARGE + 7, 3)
    points[5::3] = 1.0
    edges = spanning_edges(points, exact=exact)
    lengths = edge_lengths(points, edges)
    assert lengths.count_nonzero() == 1
    assert lengths.max() == pytest.approx(3**0.5)
    assert [0, 5] in edges.tolist()
    assert sorted(edges[:, 1].tolist()) == list(range(1, len(points)))


@pytest.mark.parametrize("n", [8, 60, 200])
def test_autocast_changes_nothing(n, monkeypatch):
    borders(monkeypatch, large=100)
    points = cloud("far_from_the_origin", n, 6)
    expected = spanning_edges(points)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = spanning_edges(points)
    assert torch.equal(found, expected)
    check(points, found)


@pytest.mark.parametrize("n", [8, 60, 200])
@pytest.mark.parametrize("precision", ["high", "medium"])
def test_the_precision_of_products_changes_nothing(n, precision, monkeypatch):
    borders(monkeypatch, large=100)
    points = cloud("gaussian", n, 64)
    expected = spanning_edges(points)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        found = spanning_edges(points)
    finally:
        torch.set_float32_matmul_precision(before)
    assert sorted(found.tolist()) == sorted(expected.tolist())
    check(points, found)


# ---- padded clouds


def test_padded_clouds_are_trees_of_their_points():
    clouds = torch.stack([cloud(kind, 20, 3) for kind in sorted(KINDS)])
    sizes = [0, 1, 2, 3, 19, 20, 7, 12, 5, 16]
    rng = np.random.default_rng(0)
    present = torch.zeros(len(clouds), 20, dtype=torch.bool)
    for row, size in zip(present, sizes, strict=True):
        row[rng.permutation(20)[:size]] = True
    edges = padded_edges(clouds, present)
    lengths = edge_lengths_of_clouds(clouds, edges)
    for points, here, pairs, found, size in zip(clouds, present, edges, lengths, sizes, strict=True):
        bars = max(size - 1, 0)
        assert pairs[bars:].tolist() == [[0, 0]] * (19 - bars)
        assert found[bars:].tolist() == [0.0] * (19 - bars)
        assert here[pairs[:bars]].all()
        true = prim_lengths(points[here].numpy())
        np.testing.assert_allclose(found[:bars].sort().values.numpy(), true, rtol=1e-6, atol=0)


@pytest.fixture
def fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def compiled(function, **options):
    return torch.compile(function, backend="eager", **options)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiled_the_same_answer(fresh_compiler, without_shape_checks):
    clouds = torch.stack([cloud(kind, 12, 7) for kind in sorted(KINDS)])
    present = torch.rand(clouds.shape[:2], generator=torch.Generator().manual_seed(0)) < 0.8
    assert torch.equal(compiled(padded_edges)(clouds), padded_edges(clouds))
    edges = padded_edges(clouds, present)
    assert torch.equal(compiled(padded_edges)(clouds, present), edges)
    lengths = edge_lengths_of_clouds(clouds, edges)
    assert torch.equal(compiled(edge_lengths_of_clouds)(clouds, edges), lengths)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 9), st.integers(1, 20), st.integers(0, 2**31))
def test_clouds_may_be_rows_of_points(kind, clouds, n, seed):
    """Many clouds at once, some of them twice, and more of them than are multiplied at a time."""
    points = cloud(kind, 30, 5, seed)
    generator = torch.Generator().manual_seed(seed)
    members = torch.randint(30, (clouds, n), generator=generator)
    present = torch.rand(clouds, n, generator=generator) < 0.8
    with patch.object(products, "TOGETHER", 3 * n * 5):
        found, all_present = padded_edges(points, present, members), padded_edges(points, None, members)
    assert torch.equal(found, padded_edges(points[members], present))
    assert torch.equal(all_present, padded_edges(points[members]))


def test_shapes_do_not_depend_on_the_points(fresh_compiler, without_shape_checks):
    """Points on "meta" have no contents: a look at them, or a shape that depends on them, would raise."""
    clouds = torch.zeros(5, 12, 7, device="meta")
    present = torch.ones(5, 12, dtype=torch.bool, device="meta")
    for run in (padded_edges, compiled(padded_edges, fullgraph=True)):
        assert run(clouds).shape == run(clouds, present).shape == (5, 11, 2)


# ---- the points of each kind, whatever their numbers


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 30), st.integers(1, 6), st.integers(0, 2**31))
def test_a_forest_has_the_tree_of_each_kind(kind, n, kinds, seed):
    points = cloud(kind, n, 5, seed)
    numbers = torch.randint(min(kinds, n) or 1, (n,), generator=torch.Generator().manual_seed(seed))
    numbers[numbers == 0] = n  # the greatest number that there may be
    expected = []
    for number in numbers.unique():
        rows = (numbers == number).nonzero()[:, 0]
        expected += rows[padded_edges(points[rows][None])[0]].tolist()
    expected += [[0, 0]] * (max(n - 1, 0) - len(expected))
    with pytest.MonkeyPatch.context() as patched:  # as on an accelerator
        patched.setattr(torch.compiler, "is_compiling", lambda: True)
        on_device = forest_edges(points, numbers)
    assert sorted(on_device.tolist()) == sorted(expected)
    assert torch.equal(forest_edges(points, numbers), on_device)


def test_a_kind_far_away_is_told_apart_as_well():
    """Two kinds 1e8 apart: products about one point for both would see no distance within the other."""
    points = torch.tensor([[0.0], [3], [1e8], [1e8 + 16], [1], [1e8 + 8]])
    kinds = torch.tensor([0, 0, 1, 1, 0, 1])
    assert forest_edges(points, kinds).tolist() == [[0, 4], [1, 4], [2, 5], [3, 5], [0, 0]]
