"""H0 against Prim and Kruskal by the textbook, against SciPy, ripser and gudhi, and numerical gradients."""

import math

import gudhi
import numpy as np
import pytest
import ripser
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from torch.testing import assert_close

from conescope.topology import h0_barcode, h0_edges, h0_lengths
from conescope.topology.lengths import edge_lengths_of_clouds
from conescope.topology.trees import padded_edges
from tests.reference.spanning import is_tree, kruskal_edges, prim_lengths
from tests.topology.clouds import KINDS

seeds = st.integers(0, 2**31)
kinds = st.sampled_from(sorted(KINDS))


def cloud(kind, n, d, seed=0, dtype=torch.float64):
    return torch.from_numpy(KINDS[kind](np.random.default_rng(seed), n, d)).to(dtype)


def check_against_prim(points, rtol, atol=0.0):
    """The reference gets the very points that the code gets: rounding the input is not an error."""
    expected = torch.from_numpy(prim_lengths(points.double().numpy()))
    assert_close(h0_lengths(points).double(), expected, rtol=rtol, atol=atol)


# ---- values by hand


def test_four_points_on_a_line():
    points = torch.tensor([[0.0], [1.0], [3.0], [7.0]])  # gaps 1, 2, 4
    assert h0_lengths(points).tolist() == [1, 2, 4]
    assert h0_edges(points).tolist() == [[0, 1], [1, 2], [2, 3]]
    assert h0_barcode(points).tolist() == [[0, 1], [0, 2], [0, 4], [0, math.inf]]


def test_unit_square():
    """Three sides, never a diagonal; of the four equal sides the three smallest pairs."""
    square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert h0_lengths(square).tolist() == [1, 1, 1]
    assert h0_edges(square).tolist() == [[0, 1], [0, 2], [1, 3]]


def test_a_duplicate_is_a_bar_of_length_zero():
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0]])
    assert h0_barcode(points).tolist() == [[0, 0], [0, 5], [0, math.inf]]
    assert h0_edges(points).tolist() == [[0, 1], [0, 2]]


def test_the_longest_gap_may_come_first():
    """Edges and lengths are in the order of the lengths, not of the points."""
    points = torch.tensor([[0.0], [100.0], [101.0], [103.0], [-10.0]])
    assert h0_lengths(points).tolist() == [1, 2, 10, 100]
    assert h0_edges(points).tolist() == [[1, 2], [2, 3], [0, 4], [0, 1]]


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (2, 0, 3), (2, 1, 3), (0, 5, 3)])
def test_fewer_than_two_points_have_no_finite_bar(shape):
    points = torch.ones(shape)
    *batch, n, _ = shape
    bars = max(n - 1, 0)
    assert h0_lengths(points).shape == (*batch, bars)
    assert h0_edges(points).shape == (*batch, bars, 2)
    assert h0_edges(points).dtype == torch.int64
    assert h0_barcode(points).shape == (*batch, n, 2)
    if n == 1:
        assert_close(h0_barcode(points), torch.tensor([0, math.inf]).expand(*batch, 1, 2))


# ---- the reference


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [2, 3, 17, 60])
def test_lengths_are_those_of_prim(kind, n):
    for d in (1, 2, 20):
        check_against_prim(cloud(kind, n, d, seed=n + d), rtol=1e-12, atol=1e-13)
        check_against_prim(cloud(kind, n, d, seed=n + d, dtype=torch.float32), rtol=1e-6)


@settings(max_examples=120, deadline=None)
@given(kinds, st.integers(0, 60), st.integers(1, 20), seeds)
def test_lengths_are_those_of_prim_for_any_size(kind, n, d, seed):
    check_against_prim(cloud(kind, n, d, seed, torch.float32), rtol=1e-6)


@pytest.mark.parametrize(("n", "d"), [(203, 2), (256, 20), (400, 5), (257, 384), (211, 768)])
@pytest.mark.parametrize("kind", ["gaussian", "clusters", "duplicates", "far_from_the_origin"])
def test_lengths_are_those_of_prim_for_hundreds_of_points(kind, n, d):
    check_against_prim(cloud(kind, n, d, dtype=torch.float32), rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(kinds, st.integers(1, 40), st.integers(1, 6), seeds)
def test_edges_are_a_tree_in_ascending_order(kind, n, d, seed):
    points = cloud(kind, n, d, seed)
    edges = h0_edges(points)
    assert edges.dtype == torch.int64
    assert edges.shape == (n - 1, 2)
    assert (edges[:, 0] < edges[:, 1]).all()
    assert is_tree(edges.tolist(), n)
    lengths = (points[edges[:, 0]] - points[edges[:, 1]]).norm(dim=1)
    assert_close(lengths, h0_lengths(points), rtol=1e-12, atol=0)  # row k of one is entry k of the other
    assert (lengths.diff() >= -1e-12 * lengths[1:]).all()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["gaussian", "uneven_axes", "far_from_the_origin"]), st.integers(2, 30), seeds)
def test_edges_are_those_of_kruskal(kind, n, seed):
    points = cloud(kind, n, 3, seed)
    assert h0_edges(points).tolist() == [list(edge) for edge in kruskal_edges(points.numpy())]


@settings(max_examples=40, deadline=None)
@given(kinds, st.integers(1, 40), st.integers(1, 6), seeds)
def test_the_barcode_is_the_lengths_and_one_bar_without_end(kind, n, d, seed):
    points = cloud(kind, n, d, seed)
    barcode = h0_barcode(points)
    assert (barcode[:, 0] == 0).all()
    assert barcode[-1].tolist() == [0, math.inf]
    assert torch.equal(barcode[:-1, 1], h0_lengths(points))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(1, 4), seeds)
def test_every_duplicate_is_a_bar_of_exactly_zero(n, d, seed):
    points = cloud("duplicates", n, d, seed, torch.float32)
    assert int((h0_lengths(points) == 0).sum()) == n - len(points.unique(dim=0))


# ---- other libraries, where they are right


@pytest.mark.parametrize("kind", ["gaussian", "clusters", "collinear", "far_from_the_origin"])
def test_agrees_with_scipy(kind):
    points = cloud(kind, 80, 5, seed=1)
    tree = minimum_spanning_tree(cdist(points.numpy(), points.numpy()))
    assert_close(h0_lengths(points), torch.from_numpy(np.sort(tree.data)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["gaussian", "clusters", "duplicates", "grid"])
def test_agrees_with_gudhi(kind):
    points = cloud(kind, 60, 4, seed=2)
    complex_ = gudhi.RipsComplex(points=points.numpy(), max_edge_length=math.inf)
    tree = complex_.create_simplex_tree(max_dimension=1)
    tree.compute_persistence(homology_coeff_field=2, min_persistence=-1)  # -1 keeps the zero bars
    expected = tree.persistence_intervals_in_dimension(0)
    expected = torch.from_numpy(expected[np.argsort(expected[:, 1])])
    assert_close(h0_barcode(points), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["gaussian", "clusters", "duplicates", "grid"])
def test_agrees_with_ripser_which_drops_zero_bars(kind):
    points = cloud(kind, 60, 4, seed=3)
    expected = np.sort(ripser.ripser(points.numpy(), maxdim=0)["dgms"][0][:, 1])
    expected = expected[expected > 1e-6]  # it works in float32 and leaves some zeros as 1e-8
    ours = h0_barcode(points)[:, 1]
    assert_close(ours[ours > 0], torch.from_numpy(expected), rtol=1e-6, atol=1e-6)


# ---- batches


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_its_clouds_one_by_one(kind):
    clouds = torch.stack([cloud(kind, 23, 4, seed) for seed in range(5)])
    assert_close(h0_lengths(clouds), torch.stack([h0_lengths(points) for points in clouds]))
    assert_close(h0_barcode(clouds), torch.stack([h0_barcode(points) for points in clouds]))
    if kind not in ("duplicates", "all_equal", "grid"):  # where the tree is unique
        assert torch.equal(h0_edges(clouds), torch.stack([h0_edges(points) for points in clouds]))


def test_clouds_in_a_batch_do_not_share_a_scale():
    small, large = cloud("gaussian", 20, 3, 0), 1e12 * cloud("clusters", 20, 3, 1)
    both = h0_lengths(torch.stack([small, large]))
    assert_close(both, torch.stack([h0_lengths(small), h0_lengths(large)]), rtol=1e-12, atol=0)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["gaussian", "far_from_the_origin", "clusters"]), st.integers(1, 20), seeds)
def test_padding_changes_nothing(kind, n, seed):
    """Absent points sit at any place and lie anywhere, so far off that they could eat all digits."""
    clouds = torch.stack([cloud(kind, n, 3, seed + k) for k in range(6)])
    generator = torch.Generator().manual_seed(seed)
    present = torch.rand(6, n, generator=generator) < torch.linspace(0, 1, 6)[:, None]
    present[0] = False
    clouds[~present] = 1e12 * torch.randn(int((~present).sum()), 3, generator=generator, dtype=clouds.dtype)
    clouds.requires_grad_()
    edges = padded_edges(clouds, present)
    lengths = edge_lengths_of_clouds(clouds, edges)
    for k in range(6):
        alone = clouds[k, present[k]]
        bars = max(len(alone) - 1, 0)
        real = edges[k, :, 0] < edges[k, :, 1]
        assert int(real.sum()) == bars
        assert edges[k, ~real].eq(0).all()
        assert lengths[k, ~real].eq(0).all()
        assert_close(lengths[k, real].sort().values, h0_lengths(alone), rtol=1e-12, atol=0)
        names = present[k].nonzero()[:, 0]  # the numbers that the points of the small cloud have here
        pairs = names[h0_edges(alone)].reshape(-1, 2)
        assert sorted(edges[k, real].tolist()) == sorted(pairs.tolist())
    (gradient,) = torch.autograd.grad(lengths.sum(), clouds)
    alone = [h0_lengths(points[here]).sum() for points, here in zip(clouds, present, strict=True)]
    (expected,) = torch.autograd.grad(sum(alone), clouds)
    assert_close(gradient, expected, rtol=1e-12, atol=1e-12)
    assert gradient[~present].eq(0).all()


def test_clouds_without_two_points_have_no_edge_but_keep_their_rows():
    present = torch.tensor([[False] * 5, [False, False, True, False, False]])
    clouds = torch.randn(2, 5, 3)
    edges = padded_edges(clouds, present)
    lengths = edge_lengths_of_clouds(clouds, edges)
    assert torch.equal(edges, torch.zeros(2, 4, 2, dtype=torch.int64))
    assert torch.equal(lengths, torch.zeros(2, 4))


# ---- invariances


@settings(max_examples=30, deadline=None)
@given(kinds, st.integers(2, 40), st.integers(1, 8), seeds)
def test_order_place_and_direction_do_not_matter(kind, n, d, seed):
    points = cloud(kind, n, d, seed)
    lengths = h0_lengths(points)
    generator = torch.Generator().manual_seed(seed)
    close = {"rtol": 1e-9, "atol": 1e-11 * float(points.abs().max())}
    assert_close(h0_lengths(points[torch.randperm(n, generator=generator)]), lengths, **close)
    shift = points.abs().max() * torch.randn(d, generator=generator, dtype=torch.float64)
    assert_close(h0_lengths(points + shift), lengths, **close)
    rotation = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    assert_close(h0_lengths(points @ rotation), lengths, **close)


@settings(max_examples=30, deadline=None)
@given(kinds, st.integers(2, 40), st.sampled_from([2.0**-20, 0.5, 2.0**20]), seeds)
def test_lengths_have_the_unit_of_the_points(kind, n, factor, seed):
    points = cloud(kind, n, 3, seed, torch.float32)
    assert torch.equal(h0_lengths(points * factor), h0_lengths(points) * factor)  # a power of two is exact


@pytest.mark.parametrize(
    ("dtype", "mean"), [(torch.float32, 1_234_567.0), (torch.float64, 1_234_567_890_123.0)]
)
def test_a_common_mean_a_million_times_the_spread_and_more(dtype, mean):
    """cdist without centering is wrong by more than 100 % here."""
    points = torch.randint(-64, 64, (80, 6), generator=torch.Generator().manual_seed(0)).to(dtype) / 8
    shifted = points + mean
    assert torch.equal(shifted - mean, points)  # eighths: exact at this place too
    assert torch.equal(h0_lengths(shifted), h0_lengths(points))


@pytest.mark.parametrize(
    ("dtype", "factor"),
    [
        (torch.float32, 2.0**-100),
        (torch.float32, 2.0**100),
        (torch.float64, 2.0**-800),
        (torch.float64, 2.0**800),
    ],
)
def test_units_whose_squares_are_out_of_range(dtype, factor):
    points = cloud("clusters", 40, 3).to(dtype)
    assert torch.equal(h0_lengths(points * factor), h0_lengths(points) * factor)
    assert torch.equal(h0_edges(points * factor), h0_edges(points))


# ---- ties


def test_equal_edges_are_taken_in_the_order_of_their_pairs():
    """The corners of a cube of any dimension: all its edges are equally long."""
    for d in (2, 3, 5):
        corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * d)
        assert h0_edges(corners).tolist() == [list(edge) for edge in kruskal_edges(corners.numpy())]


def test_equal_points_are_joined_to_the_first():
    assert h0_edges(torch.full((5, 3), 0.7)).tolist() == [[0, 1], [0, 2], [0, 3], [0, 4]]


@pytest.mark.parametrize("seed", range(20))
def test_ties_on_a_grid_go_to_the_smaller_pair(seed):
    """Small integers, whose distances are exact: no rounding may decide between equal edges."""
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(KINDS["grid"](rng, rng.integers(3, 25), rng.integers(1, 4)))
    assert h0_edges(points).tolist() == [list(edge) for edge in kruskal_edges(points.numpy())]


@pytest.mark.parametrize("kind", ["grid", "duplicates", "all_equal"])
def test_ties_fall_the_same_way_every_time(kind):
    points = cloud(kind, 50, 3)
    edges = h0_edges(points)
    assert is_tree(edges.tolist(), 50)
    for _ in range(3):
        assert torch.equal(h0_edges(points.clone()), edges)


# ---- gradient


def generic(n=7, d=3, seed=0):
    return cloud("gaussian", n, d, seed).requires_grad_()


def test_gradient():
    assert torch.autograd.gradcheck(h0_lengths, generic())
    assert torch.autograd.gradcheck(h0_lengths, torch.stack([generic(seed=1), generic(seed=2)]))
    assert torch.autograd.gradcheck(lambda points: h0_barcode(points)[:-1, 1], generic())


def test_gradient_of_the_gradient():
    assert torch.autograd.gradgradcheck(h0_lengths, generic())


@settings(max_examples=30, deadline=None)
@given(kinds, st.integers(2, 25), st.integers(1, 5), seeds)
def test_each_length_pulls_at_its_two_end_points(kind, n, d, seed):
    """d |u - v| / du is the unit vector from v to u; a bar of length zero has none and pulls at nothing."""
    points = cloud(kind, n, d, seed).requires_grad_()
    edges, lengths = h0_edges(points), h0_lengths(points)
    weights = torch.linspace(1, 2, n - 1, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((weights * lengths).sum(), points)
    expected = torch.zeros_like(points)
    for weight, (u, v) in zip(weights, edges.tolist(), strict=True):
        difference = (points[u] - points[v]).detach()
        if difference.any():
            expected[u] += weight * difference / difference.norm()
            expected[v] -= weight * difference / difference.norm()
    assert_close(gradient, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["gaussian", "steps"])
def test_one_length_moves_two_points_only(kind):
    """Row k of the edges belongs to entry k of the lengths, among 29 steps of one length too."""
    points = generic(30) if kind == "gaussian" else torch.arange(30.0)[:, None].requires_grad_()
    edges, lengths = h0_edges(points), h0_lengths(points)
    for k in range(29):
        (gradient,) = torch.autograd.grad(lengths[k], points, retain_graph=True)
        assert gradient.any(dim=1).nonzero()[:, 0].tolist() == edges[k].tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_coincident_points_get_no_gradient(dtype):
    points = torch.full((6, 3), 0.3, dtype=dtype, requires_grad=True)
    h0_lengths(points).sum().backward()
    assert points.grad.eq(0).all()
    assert points.grad.dtype == dtype


# ---- number types and layouts


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_number_type_in_is_number_type_out(dtype):
    points = cloud("gaussian", 20, 4).to(dtype)
    assert h0_lengths(points).dtype == dtype
    assert h0_barcode(points).dtype == dtype
    assert h0_edges(points).dtype == torch.int64


@pytest.mark.parametrize(
    "kind", ["gaussian", "clusters", "duplicates", "grid", "uneven_axes", "tiny", "huge"]
)
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.bfloat16, 1e-2), (torch.float32, 1e-6)])
def test_the_sum_agrees_with_float64_on_the_same_points(kind, dtype, rtol):
    check_sum(kind, dtype, rtol)


@pytest.mark.parametrize("kind", ["gaussian", "clusters", "duplicates", "grid", "uneven_axes"])
def test_the_sum_agrees_with_float64_in_the_range_of_float16(kind):
    check_sum(kind, torch.float16, rtol=2e-3)


def check_sum(kind, dtype, rtol):
    points = cloud(kind, 120, 16).to(dtype)
    exact = h0_lengths(points.double())
    assert_close(h0_lengths(points).double().sum(), exact.sum(), rtol=rtol, atol=0)
    if kind in ("gaussian", "uneven_axes"):  # one tree: the choice does not depend on the number type
        assert torch.equal(h0_edges(points), h0_edges(points.double()))


def test_any_memory_layout():
    points = cloud("gaussian", 30, 8)
    expected = h0_lengths(points[::2, ::2].contiguous())
    assert_close(h0_lengths(points[::2, ::2]), expected, rtol=1e-12, atol=0)
    assert_close(h0_lengths(points.T.contiguous().T), h0_lengths(points), rtol=1e-12, atol=0)
    assert_close(h0_lengths(points[:1].expand(4, 8)), torch.zeros(3, dtype=torch.float64))


def test_the_input_is_left_as_it_is():
    points = cloud("gaussian", 30, 8)
    before = points.clone()
    h0_lengths(points), h0_edges(points), h0_barcode(points)
    assert torch.equal(points, before)


def test_edges_of_points_that_want_a_gradient():
    points = generic(9)
    edges = h0_edges(points)
    assert not edges.requires_grad
    assert torch.equal(edges, h0_edges(points.detach()))
    with torch.inference_mode():
        assert torch.equal(h0_edges(points), edges)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_on_an_accelerator(kind):
    points = cloud(kind, 100, 6)
    lengths = h0_lengths(points.cuda())
    assert lengths.device.type == "cuda"
    assert_close(lengths.cpu(), h0_lengths(points), rtol=1e-12, atol=1e-12)
    if kind not in ("duplicates", "all_equal", "grid"):
        assert torch.equal(h0_edges(points.cuda()).cpu(), h0_edges(points))


# ---- errors


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("shape", [(7, 5, 3), (2, 60, 3), (3, 1, 3), (1, 2, 1)])
def test_a_batch_names_the_row_through_all_clouds(value, shape):
    """Small clouds are checked by their lengths alone, wherever these are all apart."""
    points = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    points[-1, -1, 0] = value
    rows = shape[0] * shape[1]
    with pytest.raises(
        ValueError, match=rf"1 of {rows} rows hold NaN or infinity, the first in row {rows - 1};"
    ):
        h0_lengths(points)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("function", [h0_edges, h0_lengths, h0_barcode])
def test_a_row_that_is_not_finite_is_named(function, value):
    points = cloud("gaussian", 9, 3)
    points[4, 1] = points[7, 0] = value
    with pytest.raises(ValueError, match=r"2 of 9 rows hold NaN or infinity, the first in row 4"):
        function(points)


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize("function", [h0_edges, h0_lengths, h0_barcode])
@pytest.mark.parametrize("shape", [(), (3,), (2, 2, 3, 2), (4, 0), (2, 4, 0)])
def test_a_tensor_that_is_no_point_cloud(function, shape):
    with pytest.raises(ValueError, match=r"shape \(n, d\) or \(batch, n, d\).*, got \("):
        function(torch.zeros(shape))


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_points_must_be_floating_point(dtype):
    with pytest.raises(TypeError, match=f"points must be floating point, got {dtype}"):
        h0_lengths(torch.zeros(3, 2, dtype=dtype))
