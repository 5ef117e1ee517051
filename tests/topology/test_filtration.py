"""Groups, lists, batches and metrics: each against its clouds one by one, and against SciPy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform
from torch.testing import assert_close

from conescope.topology import h0_barcode, h0_edges, h0_lengths
from conescope.topology.trees import ALONE
from tests.reference.spanning import kruskal
from tests.topology.clouds import KINDS

seeds = st.integers(0, 2**31)
untied = st.sampled_from(["gaussian", "uneven_axes", "far_from_the_origin"])
FUNCTIONS = (h0_edges, h0_lengths, h0_barcode)
HALVES = (torch.float16, torch.bfloat16)


def cloud(kind, n, d, seed=0, dtype=torch.float64):
    return torch.from_numpy(KINDS[kind](np.random.default_rng(seed), n, d)).to(dtype)


def distances_of(points):
    return torch.from_numpy(squareform(pdist(points.detach().numpy())))


def check_each(found, expected, **close):
    assert isinstance(found, tuple)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, **close or {"rtol": 1e-12, "atol": 1e-12})


def check_groups(points, labels, metric="euclidean"):
    """Every group is a cloud of its own, and its edges are numbers of rows of all points."""
    rows = [(labels == label).nonzero()[:, 0] for label in labels.unique()]
    alone = [points[here] for here in rows]
    check_each(
        h0_lengths(points, groups=labels, metric=metric), [h0_lengths(one, metric=metric) for one in alone]
    )
    check_each(
        h0_barcode(points, groups=labels, metric=metric), [h0_barcode(one, metric=metric) for one in alone]
    )
    expected = [here[h0_edges(one, metric=metric)] for here, one in zip(rows, alone, strict=True)]
    check_each(h0_edges(points, groups=labels, metric=metric), expected)


# ---- groups


def test_two_groups_by_hand():
    points = torch.tensor([[0.0], [10.0], [1.0], [14.0], [3.0]])
    labels = torch.tensor([5, -2, 5, -2, 5])
    lengths = h0_lengths(points, groups=labels)
    edges = h0_edges(points, groups=labels)
    barcode = h0_barcode(points, groups=labels)
    assert [each.tolist() for each in lengths] == [[4], [1, 2]]  # by ascending label
    assert [each.tolist() for each in edges] == [[[1, 3]], [[0, 2], [2, 4]]]
    assert [each.tolist() for each in barcode] == [[[0, 4], [0, math.inf]], [[0, 1], [0, 2], [0, math.inf]]]


@settings(max_examples=30, deadline=None)
@given(untied, st.integers(1, 150), st.integers(1, 12), st.sampled_from([1, -1, 10**12]), seeds)
def test_groups_are_their_clouds_one_by_one(kind, n, groups, unit, seed):
    """Labels may be any integers: negative ones, and far apart."""
    labels = torch.randint(groups, (n,), generator=torch.Generator().manual_seed(seed)) * unit
    check_groups(cloud(kind, n, 3, seed), labels)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_sizes_on_both_sides_of_where_a_cloud_is_alone(metric):
    sizes = [ALONE - 1, ALONE, ALONE + 1, 1, 3 * ALONE, 2]
    labels = torch.arange(6).repeat_interleave(torch.tensor(sizes))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    check_groups(cloud("gaussian", len(labels), 4), labels, metric)


def test_one_group_is_the_cloud():
    points = cloud("gaussian", 60, 3)
    labels = torch.full((60,), -7)
    check_each(h0_lengths(points, groups=labels), [h0_lengths(points)])
    check_each(h0_edges(points, groups=labels), [h0_edges(points)])


def test_groups_of_one_point_have_no_edge_and_one_bar_without_end():
    points = cloud("gaussian", 4, 3)
    labels = torch.tensor([3, 1, 0, 2])
    assert [each.shape for each in h0_edges(points, groups=labels)] == [(0, 2)] * 4
    assert [each.shape for each in h0_lengths(points, groups=labels)] == [(0,)] * 4
    assert [each.tolist() for each in h0_barcode(points, groups=labels)] == [[[0, math.inf]]] * 4


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_points_no_groups(function):
    assert function(torch.ones(0, 3), groups=torch.ones(0, dtype=torch.int64)) == ()


@pytest.mark.parametrize("kind", ["grid", "duplicates", "all_equal"])
def test_ties_in_groups_fall_as_in_their_clouds(kind):
    points = cloud(kind, 90, 2)
    check_groups(points, torch.arange(90) % 4)


def test_the_gradient_of_groups_is_that_of_their_clouds():
    points = cloud("gaussian", ALONE + 30, 3).requires_grad_()
    labels = (torch.arange(len(points)) >= 20).long() + (torch.arange(len(points)) >= 29)
    weights = [1.0, 2.0, 3.0]
    both = []
    for lengths in (
        h0_lengths(points, groups=labels),
        [h0_lengths(points[labels == label]) for label in range(3)],
    ):
        loss = sum(weight * each.square().sum() for weight, each in zip(weights, lengths, strict=True))
        both.append(torch.autograd.grad(loss, points)[0])
    assert both[0].abs().sum() > 1
    assert_close(*both, rtol=1e-12, atol=1e-12)
    few = cloud("gaussian", 8, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: h0_lengths(x, groups=torch.arange(8) % 2), few)
    assert torch.autograd.gradgradcheck(lambda x: h0_lengths(x, groups=torch.arange(8) % 2), few)


# ---- lists


def test_a_list_by_hand():
    clouds = [torch.tensor([[0.0], [5.0]]), torch.zeros(0, 1), torch.tensor([[4.0], [1.0], [2.0]])]
    assert [each.tolist() for each in h0_lengths(clouds)] == [[5], [], [1, 2]]
    assert [each.tolist() for each in h0_edges(clouds)] == [
        [[0, 1]],
        [],
        [[1, 2], [0, 2]],
    ]  # rows of their own
    assert [each.shape for each in h0_barcode(clouds)] == [(2, 2), (0, 2), (3, 2)]


@settings(max_examples=25, deadline=None)
@given(untied, st.lists(st.integers(0, 2 * ALONE), max_size=8), seeds)
def test_a_list_is_its_clouds_one_by_one(kind, sizes, seed):
    clouds = [cloud(kind, n, 3, seed + k) for k, n in enumerate(sizes)]
    for function in FUNCTIONS:
        check_each(function(clouds), [function(each) for each in clouds])
        check_each(function(tuple(clouds)), [function(each) for each in clouds])


@pytest.mark.parametrize("dtype", [*HALVES, torch.float32, torch.float64])
def test_a_list_keeps_number_type_and_gradient(dtype):
    clouds = [cloud("gaussian", n, 3, n, dtype).requires_grad_() for n in (5, 0, 1, ALONE)]
    lengths = h0_lengths(clouds)
    assert [each.dtype for each in lengths] == [dtype] * 4
    sum(each.sum() for each in lengths).backward()
    alone = [points.detach().clone().requires_grad_() for points in clouds]
    sum(h0_lengths(points).sum() for points in alone).backward()
    check_each(
        tuple(points.grad for points in clouds), [points.grad for points in alone], rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize(
    ("clouds", "message"),
    [
        ([torch.ones(2, 3), torch.ones(2, 4)], r"one dimension .* got 3 .* and 4 of"),
        ([torch.ones(2, 3), torch.ones(2, 3).double()], r"number type, got .*float32 and 3 of torch.float64"),
        ([torch.ones(2, 3), torch.ones(2, 2, 3)], r"shape \(n, d\) .* got \(2, 2, 3\)"),
        ([torch.ones(2, 3), torch.tensor([[1.0, 2.0, math.nan]])], "1 of 3 rows .* in row 2"),
    ],
)
@pytest.mark.usefixtures("without_shape_checks")
def test_clouds_that_do_not_go_together(clouds, message):
    with pytest.raises(ValueError, match=message):
        h0_lengths(clouds)


# ---- batches


@pytest.mark.parametrize("n", [ALONE - 1, ALONE, ALONE + 1])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "precomputed"])
def test_a_batch_is_its_clouds_one_by_one(n, metric):
    clouds = torch.stack([cloud("gaussian", n, 4, seed) for seed in range(3)])
    if metric == "precomputed":
        clouds = torch.stack([distances_of(points) for points in clouds])
    for function in FUNCTIONS:
        expected = torch.stack([function(points, metric=metric) for points in clouds])
        assert_close(function(clouds, metric=metric), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 2, ALONE])
@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "precomputed"])
def test_shapes(n, count, metric):
    points = torch.ones(n, n) if metric == "precomputed" else torch.ones(n, 3)
    bars = max(n - 1, 0)
    for shape, given_points in (((), points), ((count,), points.expand(count, *points.shape))):
        assert h0_edges(given_points, metric=metric).shape == (*shape, bars, 2)
        assert h0_lengths(given_points, metric=metric).shape == (*shape, bars)
        barcode = h0_barcode(given_points, metric=metric)
        assert barcode.shape == (*shape, n, 2)
        assert (barcode[..., -1:, 1] == math.inf).all()
        assert barcode[..., :-1, :].isfinite().all()


# ---- cosine


def cosine_linkage(points):
    return torch.from_numpy(linkage(pdist(points.double().numpy(), "cosine"), "single")[:, 2])


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(["gaussian", "clusters", "uneven_axes"]), st.integers(2, 100), seeds)
def test_cosine_is_single_linkage_of_cosine_distances(kind, n, seed):
    points = cloud(kind, n, 6, seed)
    found = h0_lengths(points, metric="cosine")
    assert_close(found, cosine_linkage(points), rtol=1e-9, atol=1e-14)
    assert (found.diff() >= 0).all()
    assert found.max() <= 2
    u, v = h0_edges(points, metric="cosine").T
    cosines = torch.nn.functional.cosine_similarity(points[u], points[v])
    assert_close(found, 1 - cosines, rtol=1e-9, atol=1e-14)  # row k of one is entry k of the other


def test_cosine_by_hand():
    """Directions at 0, 60 and 180 degrees, at three distances from the origin."""
    points = torch.tensor([[9.0, 0.0], [1.0, math.sqrt(3)], [-1e-3, 0.0]], dtype=torch.float64)
    assert_close(h0_lengths(points, metric="cosine"), torch.tensor([0.5, 1.5], dtype=torch.float64))
    assert h0_edges(points, metric="cosine").tolist() == [[0, 1], [1, 2]]
    opposite = torch.tensor([[2.0, 0.0], [-5.0, 0.0], [7.0, 0.0]])
    assert h0_lengths(opposite, metric="cosine").tolist() == [0, 2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cosine_does_not_see_how_long_a_point_is(dtype):
    points = cloud("gaussian", 70, 5).to(dtype)
    scales = 2.0 ** torch.randint(-90, 90, (70, 1), generator=torch.Generator().manual_seed(0)).to(dtype)
    for function in FUNCTIONS:
        assert torch.equal(function(points * scales, metric="cosine"), function(points, metric="cosine"))
    rounded = h0_lengths(points * 10.0 ** torch.linspace(-30, 30, 70, dtype=dtype)[:, None], metric="cosine")
    assert_close(
        rounded, h0_lengths(points, metric="cosine"), rtol=1e-4 if dtype == torch.float32 else 1e-12, atol=0
    )


def test_cosine_gradient():
    points = cloud("gaussian", 7, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: h0_lengths(x, metric="cosine"), points)
    assert torch.autograd.gradgradcheck(lambda x: h0_lengths(x, metric="cosine"), points)
    (gradient,) = torch.autograd.grad(h0_lengths(points, metric="cosine").sum(), points)
    along = (gradient * points).sum(dim=1)
    assert_close(along, torch.zeros_like(along), atol=1e-12, rtol=0)  # no pull toward or from the origin


def test_one_direction_has_no_cosine_length_and_no_gradient():
    points = torch.tensor([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]], requires_grad=True)
    lengths = h0_lengths(points, metric="cosine")
    assert lengths.tolist() == [0, 0]
    lengths.sum().backward()
    assert torch.equal(points.grad, torch.zeros(3, 2))


def test_a_point_without_direction_is_named():
    points = torch.ones(5, 2)
    points[3] = 0
    with pytest.raises(ValueError, match=r"1 of 5 points are zero, the first in row 3; drop"):
        h0_lengths(points, metric="cosine")
    with pytest.raises(ValueError, match=r"1 of 5 points are zero, the first in row 3; drop"):
        h0_lengths(points, groups=torch.zeros(5, dtype=torch.int64), metric="cosine")


# ---- precomputed distances


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.sampled_from([3, 10**6]), seeds)
def test_any_symmetric_matrix(n, levels, seed):
    """Not even the triangle inequality is needed; with few levels there are ties and zeros."""
    rng = np.random.default_rng(seed)
    matrix = (
        squareform(rng.integers(0, levels, n * (n - 1) // 2).astype(float)) if n > 1 else np.zeros((1, 1))
    )
    edges = kruskal(matrix)
    np.fill_diagonal(matrix, rng.normal(size=n))  # what stands there does not matter
    found = h0_edges(torch.from_numpy(matrix), metric="precomputed")
    assert [tuple(edge) for edge in found.tolist()] == edges
    lengths = h0_lengths(torch.from_numpy(matrix), metric="precomputed")
    assert lengths.tolist() == [matrix[edge] for edge in edges]
    if n > 1:
        np.fill_diagonal(matrix, 0)
        assert lengths.tolist() == linkage(squareform(matrix), "single")[:, 2].tolist()


@pytest.mark.parametrize("kind", ["gaussian", "clusters", "duplicates", "grid"])
def test_distances_of_points_give_the_bars_of_the_points(kind):
    points = cloud(kind, 60, 3)
    matrix = distances_of(points)
    assert_close(h0_barcode(matrix, metric="precomputed"), h0_barcode(points), rtol=1e-12, atol=1e-12)
    check_each(
        h0_lengths([matrix, matrix[:7, :7]], metric="precomputed"),
        [h0_lengths(points), h0_lengths(points[:7])],
    )


def test_the_gradient_goes_to_the_entries_of_the_tree():
    matrix = distances_of(cloud("gaussian", 20, 3)).requires_grad_()
    weights = torch.arange(1.0, 20.0, dtype=torch.float64)
    (weights * h0_lengths(matrix, metric="precomputed")).sum().backward()
    expected = torch.zeros(20, 20, dtype=torch.float64)
    u, v = h0_edges(matrix, metric="precomputed").T
    expected[u, v] = weights
    assert torch.equal(matrix.grad, expected)
    batch = torch.stack([matrix.detach(), 2 * matrix.detach()]).requires_grad_()
    h0_lengths(batch, metric="precomputed").sum().backward()
    assert torch.equal(batch.grad, (expected > 0).double().expand(2, 20, 20))


def test_through_cdist_the_gradient_of_the_points():
    points = cloud("gaussian", 12, 3).requires_grad_()
    lengths = h0_lengths(torch.cdist(points, points), metric="precomputed")
    (found,) = torch.autograd.grad(lengths.square().sum(), points)
    (expected,) = torch.autograd.grad(h0_lengths(points).square().sum(), points)
    assert_close(found, expected, rtol=1e-10, atol=1e-10)


def entry(value, u=1, v=2, n=4):
    matrix = torch.ones(n, n)
    matrix[u, v] = value
    return matrix


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (entry(2.0), r"must be symmetric, but entry \(1, 2\) is 2 and entry \(2, 1\) is 1; pass distances"),
        (-torch.ones(3, 3), r"must not be negative, but entry \(0, 1\) is -1"),
        (torch.stack([1e9 * torch.ones(4, 4), entry(2.0)]), r"entry \(1, 2\) of matrix 1 is 2 and"),
        (torch.ones(4, 3), r"shape \(n, n\) or \(batch, n, n\), got \(4, 3\)"),
        (torch.ones(2, 4, 3), r"shape \(n, n\) or \(batch, n, n\), got \(2, 4, 3\)"),
        (entry(math.nan), "1 of 4 rows hold NaN or infinity, the first in row 1"),
        (entry(math.inf), "1 of 4 rows hold NaN or infinity, the first in row 1"),
    ],
)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.usefixtures("without_shape_checks")
def test_a_matrix_that_is_none_of_distances(function, matrix, message):
    with pytest.raises(ValueError, match=message):
        function(matrix, metric="precomputed")


def test_symmetric_up_to_rounding_is_symmetric():
    matrix = distances_of(cloud("gaussian", 30, 3))
    noisy = matrix * (1 + 1e-8 * torch.randn(30, 30, generator=torch.Generator().manual_seed(0)))
    assert_close(
        h0_lengths(noisy, metric="precomputed"), h0_lengths(matrix, metric="precomputed"), rtol=1e-7, atol=0
    )


# ---- what they share


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.usefixtures("without_shape_checks")
def test_arguments_that_do_not_go_together(function):
    points, labels = torch.ones(4, 2), torch.zeros(4, dtype=torch.int64)
    for kwargs in ({}, {"groups": labels}):
        with pytest.raises(ValueError, match="one of euclidean, cosine, precomputed, got 'l1'"):
            function(points, metric="l1", **kwargs)
    with pytest.raises(ValueError, match="one of euclidean, cosine, precomputed, got 'l1'"):
        function([points], metric="l1")
    with pytest.raises(ValueError, match="a list already says which cloud"):
        function([points, points], groups=labels)
    with pytest.raises(ValueError, match="each group's own matrix"):
        function(torch.ones(4, 4), groups=labels, metric="precomputed")
    with pytest.raises(ValueError, match=r"expected shape \(4,\), got \(3,\)"):
        function(points, groups=labels[:3])
    with pytest.raises(TypeError, match="labels must be integers"):
        function(points, groups=labels.double())
    with pytest.raises(ValueError, match=r"shape \(n, d\) with d >= 1.* got \(1, 4, 2\)"):
        function(points[None], groups=labels)


@pytest.mark.parametrize("n", [5, ALONE, 300])
def test_of_a_small_cloud_the_tree_is_exact_in_any_case(n):
    points = cloud("gaussian", n, 4)
    labels = torch.arange(n) % 2
    for function in FUNCTIONS:
        assert torch.equal(function(points, exact=False), function(points))
        check_each(function(points, groups=labels, exact=False), function(points, groups=labels))
        check_each(function([points, points[:9]], exact=False), function([points, points[:9]]))


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "precomputed"])
@pytest.mark.parametrize("dtype", [*HALVES, torch.float32, torch.float64])
def test_number_type_in_is_number_type_out(dtype, metric):
    """And the value is that of the very points, in the digits that the type has."""
    points = cloud("gaussian", 60, 4).to(dtype)
    given_points = distances_of(points.double()).to(dtype) if metric == "precomputed" else points
    found = h0_lengths(given_points, metric=metric)
    assert found.dtype == dtype
    assert h0_barcode(given_points, metric=metric).dtype == dtype
    assert h0_edges(given_points, metric=metric).dtype == torch.int64
    expected = cosine_linkage(points) if metric == "cosine" else h0_lengths(points.double())
    rtol = 2 * torch.finfo(dtype).eps if dtype in HALVES or metric != "cosine" else 4e-5
    assert_close(found.double(), expected, rtol=max(rtol, 1e-14), atol=0)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_rows_that_do_not_lie_beside_each_other(metric):
    points = cloud("gaussian", 2 * ALONE, 8)
    thin = points[::2, ::2]
    labels = torch.arange(4 * ALONE)[::4] % 3
    for function in FUNCTIONS:
        assert torch.equal(function(thin, metric=metric), function(thin.contiguous(), metric=metric))
        check_each(
            function(thin, groups=labels, metric=metric),
            function(thin.contiguous(), groups=labels.contiguous(), metric=metric),
        )
    matrix = distances_of(points)
    assert torch.equal(
        h0_lengths(matrix[::2, ::2], metric="precomputed"),
        h0_lengths(matrix[::2, ::2].contiguous(), metric="precomputed"),
    )
    batch = torch.stack([points, 2 * points], dim=1).transpose(0, 1)
    assert torch.equal(h0_lengths(batch, metric=metric), h0_lengths(batch.contiguous(), metric=metric))


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "precomputed"])
def test_a_gradient_where_one_is_wanted_and_only_there(metric):
    points = distances_of(cloud("gaussian", 9, 9)) if metric == "precomputed" else cloud("gaussian", 9, 9)
    before = points.clone()
    assert not h0_lengths(points, metric=metric).requires_grad
    points.requires_grad_()
    assert h0_lengths(points, metric=metric).requires_grad
    assert h0_barcode(points, metric=metric).requires_grad
    assert not h0_edges(points, metric=metric).requires_grad
    assert torch.equal(points.detach(), before)
