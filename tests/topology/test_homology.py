"""Barcodes of all dimensions against values by hand, the reduction of the textbook, ripser and gudhi."""

import itertools
import math
import sys

import gudhi
import numpy as np
import pytest
import ripser
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from conescope.topology import h0_barcode, homology
from conescope.topology.diagrams import bottleneck_distance
from conescope.topology.homology import rips_barcode
from tests.topology.clouds import KINDS

seeds = st.integers(0, 2**31)
kinds = st.sampled_from(sorted(KINDS))


def cloud(kind, n, d, seed=0, dtype=torch.float64):
    return torch.from_numpy(KINDS[kind](np.random.default_rng(seed), n, d)).to(dtype)


def circle(n, radius=1.0):
    angles = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
    return radius * torch.stack([angles.cos(), angles.sin()], dim=1)


def distances_of(points):
    """Differences, squares, sum and root: nothing that cancels."""
    points = points.double().numpy()
    return np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))


def textbook(distances, max_dim, longest=math.inf):
    """Persistent homology over the field of two elements: reduce the boundary matrix column by column."""
    n = len(distances)
    simplices = []
    for size in range(1, max_dim + 3):
        for simplex in itertools.combinations(range(n), size):
            length = max((distances[u, v] for u, v in itertools.combinations(simplex, 2)), default=0.0)
            if length <= longest:
                simplices.append((length, size, simplex))
    simplices.sort()
    place = {simplex: k for k, (_, _, simplex) in enumerate(simplices)}
    reduced, paired, bars = {}, set(), [[] for _ in range(max_dim + 1)]
    for k, (length, size, simplex) in enumerate(simplices):
        column = {place[face] for face in itertools.combinations(simplex, size - 1)} if size > 1 else set()
        while column and max(column) in reduced:
            column ^= reduced[max(column)]
        if column:
            low = max(column)
            reduced[low] = column
            paired |= {low, k}
            bars[size - 2].append((simplices[low][0], length))
    for k, (length, size, _) in enumerate(simplices):
        if k not in paired and size <= max_dim + 1:
            bars[size - 1].append((length, math.inf))
    return [torch.tensor(sorted(rows), dtype=torch.float64).reshape(-1, 2) for rows in bars]


def long_enough(barcode, least):
    """Bars longer than the rounding of their ends, in order."""
    barcode = barcode.detach().double()
    return (
        torch.tensor(sorted(barcode[barcode[:, 1] - barcode[:, 0] > least].tolist())).reshape(-1, 2).double()
    )


def check_same(found, expected, rtol=1e-9, atol=0.0, least=0.0):
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(long_enough(ours, least), long_enough(theirs, least), rtol=rtol, atol=atol)


# ---- values by hand


def test_unit_square():
    """Four sides close the loop at 1, a diagonal fills it at sqrt 2; two diagonals never enclose a void."""
    square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    components, loops, voids = rips_barcode(square, 2)
    assert components.tolist() == [[0, 1], [0, 1], [0, 1], [0, math.inf]]
    assert loops.tolist() == [[1, math.sqrt(2)]]
    assert voids.shape == (0, 2)


def test_regular_hexagon():
    """Chords 1, sqrt 3 and 2. At sqrt 3 only opposite corners are apart: an octahedron, hollow until 2."""
    _, loops, voids = rips_barcode(circle(6), 2)
    expected = torch.tensor([[[1, math.sqrt(3)]], [[math.sqrt(3), 2]]], dtype=torch.float64)
    assert_close(long_enough(loops, 1e-12), expected[0])
    assert_close(long_enough(voids, 1e-12), expected[1])


@pytest.mark.parametrize("n", [*range(4, 14), 30])
def test_points_on_a_circle(n):
    """Born with the polygon, the loop dies with the first triangle around the center: ceil(n / 3) steps."""
    _, loops = rips_barcode(circle(n, radius=3.0))
    expected = [[6 * math.sin(math.pi / n), 6 * math.sin(math.pi * math.ceil(n / 3) / n)]]
    assert_close(long_enough(loops, 1e-12), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("d", [2, 3, 4])
def test_the_cross_polytope_is_a_sphere(d):
    """+-e_1 .. +-e_d: all distances are sqrt 2, of opposite points 2: a sphere of dimension d - 1."""
    points = torch.cat([torch.eye(d), -torch.eye(d)]).double()
    barcodes = rips_barcode(points, d)
    assert barcodes[d - 1].tolist() == [[math.sqrt(2), 2]]
    for k in range(1, d + 1):
        assert k == d - 1 or len(barcodes[k]) == 0


def test_two_loops_are_sorted_by_birth_then_death():
    points = torch.cat([circle(12, 2.0) + 100, circle(8), circle(20, 1.5) - 50])
    births = [2 * r * math.sin(math.pi / n) for n, r in ((20, 1.5), (8, 1.0), (12, 2.0))]
    loops = long_enough(rips_barcode(points)[1], 1e-9)
    assert_close(loops[:, 0], torch.tensor(births, dtype=torch.float64))
    again = torch.cat([torch.tensor([[0.0, 0], [3, 0], [0, 4], [3, 4]]), 100 + 4 * circle(4).round()])
    # sides 3 and 4 and diagonal 5: (4, 5); sides 4 sqrt 2 and diagonal 8
    expected = torch.tensor([[4, 5], [4 * math.sqrt(2), 8]], dtype=torch.float64)
    assert_close(rips_barcode(again.double(), longest=10.0)[1], expected)
    same_birth = torch.tensor([[0.0, 0], [4, 0], [0, 4], [4, 4], [50, 0], [53, 0], [50, 4], [53, 4]])
    assert_close(rips_barcode(same_birth, longest=10.0)[1], torch.tensor([[4, 5], [4, 4 * math.sqrt(2)]]))


# ---- the textbook


@settings(max_examples=60, deadline=None)
@given(kinds, st.integers(1, 9), st.integers(1, 4), st.integers(0, 2), seeds)
def test_agrees_with_the_textbook(kind, n, d, max_dim, seed):
    points = cloud(kind, n, d, seed)
    rounding = 1e-9 * float(points.abs().max())
    expected = textbook(distances_of(points), max_dim)
    found = rips_barcode(points, max_dim)
    check_same(found[1:], expected[1:], atol=rounding, least=rounding)
    check_same(found[:1], expected[:1], atol=rounding, least=-1)  # zeros are kept


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 10), st.integers(0, 2), st.floats(0, 1), seeds)
def test_agrees_with_the_textbook_when_cut_short(n, max_dim, share, seed):
    points = cloud("gaussian", n, 2, seed)
    distances = distances_of(points)
    longest = float(np.quantile(distances, share)) * (1 + 1e-9)
    check_same(rips_barcode(points, max_dim, longest=longest), textbook(distances, max_dim, longest))


@pytest.mark.parametrize("seed", range(6))
def test_any_symmetric_matrix_serves_as_distances(seed):
    """No triangle inequality, few values: ties and zeros everywhere."""
    values = np.random.default_rng(seed).integers(0, 5, (9, 9)).astype(float)
    distances = np.triu(values, 1) + np.triu(values, 1).T
    found = rips_barcode(torch.from_numpy(distances), 2, metric="precomputed")
    check_same(found[1:], textbook(distances, 2)[1:], rtol=0)
    check_same(found[:1], textbook(distances, 0), rtol=0, least=-1)


# ---- other libraries


@pytest.mark.parametrize(
    ("kind", "n", "d", "max_dim"),
    [("gaussian", 70, 5, 1), ("gaussian", 30, 8, 2), ("clusters", 60, 3, 1), ("uneven_axes", 60, 4, 1)],
)
def test_agrees_with_ripser(kind, n, d, max_dim):
    """It works in float32: bars of its rounding are left out on both sides."""
    points = cloud(kind, n, d, seed=1)
    rounding = 1e-5 * float(points.abs().max())
    expected = [torch.from_numpy(rows) for rows in ripser.ripser(points.numpy(), maxdim=max_dim)["dgms"]]
    found = rips_barcode(points, max_dim)
    assert sum(len(rows) for rows in found[1:]) >= 5
    check_same(found[1:], expected[1:], rtol=1e-5, atol=rounding, least=rounding)


def test_agrees_with_ripser_when_cut_short():
    points = cloud("gaussian", 60, 3, seed=2)
    expected = ripser.ripser(points.numpy(), maxdim=1, thresh=1.0)["dgms"]
    found = rips_barcode(points, longest=1.0)
    assert found[0].isinf().sum() > 1
    assert found[1].isinf().any()
    check_same(found, [torch.from_numpy(rows) for rows in expected], rtol=1e-5, least=1e-5)


@pytest.mark.parametrize("kind", ["gaussian", "huge", "far_from_the_origin"])
def test_values_and_critical_edges_are_those_of_gudhi(kind):
    """Without ties. The whole complex, neither cut nor collapsed; the edges show in the gradient."""
    points = cloud(kind, 40, 10, seed=3).requires_grad_()
    complex_ = gudhi.RipsComplex(points=points.detach().numpy()).create_simplex_tree(max_dimension=3)
    complex_.compute_persistence(homology_coeff_field=2)
    generators = complex_.flag_persistence_generators()[1]
    found = rips_barcode(points, 2)
    for dim in (1, 2):
        edges = torch.from_numpy(generators[dim - 1])
        ends = [(points[edges[:, k]] - points[edges[:, k + 1]]).norm(dim=1) for k in (0, 2)]
        expected = torch.stack(ends, dim=1)
        expected = expected[expected[:, 0].argsort()]
        assert len(expected) > 3
        assert_close(found[dim], expected, rtol=1e-11, atol=0)
        weights = torch.linspace(1, 2, expected.numel(), dtype=torch.float64).reshape(expected.shape)
        gradients = [
            torch.autograd.grad((weights * rows).sum(), points, retain_graph=True)[0]
            for rows in (found[dim], expected)
        ]
        assert_close(*gradients, rtol=1e-9, atol=1e-9)


# ---- gradient


def test_gradient():
    points = cloud("gaussian", 9, 2, seed=4).requires_grad_()
    assert len(rips_barcode(points, 1)[1]) >= 1
    assert torch.autograd.gradcheck(lambda points: rips_barcode(points)[1], points)
    assert torch.autograd.gradgradcheck(lambda points: rips_barcode(points)[1], points)
    assert torch.autograd.gradcheck(lambda points: rips_barcode(points)[0][:-1], points)
    octahedron = torch.cat([torch.eye(3), -torch.eye(3)]).double()
    octahedron += 0.1 * cloud("gaussian", 6, 3)
    assert len(rips_barcode(octahedron, 2)[2]) == 1
    assert torch.autograd.gradcheck(lambda points: rips_barcode(points, 2)[2], octahedron.requires_grad_())


def test_gradient_under_other_metrics():
    points = cloud("gaussian", 12, 3, seed=7).requires_grad_()
    found = rips_barcode(points, metric="cosine")
    assert len(found[1]) >= 1
    for dim in (0, 1):
        take = slice(None, -1 if dim == 0 else None)
        assert torch.autograd.gradcheck(lambda p: rips_barcode(p, metric="cosine")[dim][take], points)  # noqa: B023

    def through_a_matrix(points):
        difference = points[:, None] - points[None]
        squares = difference.square().sum(dim=2)
        matrix = torch.where(squares > 0, squares, 1).sqrt() * (squares > 0)
        return rips_barcode(matrix, metric="precomputed")

    for direct, matrix in zip(rips_barcode(points), through_a_matrix(points), strict=True):
        assert_close(direct, matrix)
        (one,) = torch.autograd.grad(direct[torch.isfinite(direct)].square().sum(), points, retain_graph=True)
        (other,) = torch.autograd.grad(
            matrix[torch.isfinite(matrix)].square().sum(), points, retain_graph=True
        )
        assert_close(one, other)


def test_the_gradient_of_a_loop_by_hand():
    """A rectangle 3 x 4: born with the second side of length 4, filled by a diagonal of length 5."""
    points = torch.tensor([[0.0, 0], [3, 0], [0, 4], [3, 4]], requires_grad=True)
    ((birth, death),) = rips_barcode(points)[1]
    (gradient,) = torch.autograd.grad(birth, points, retain_graph=True)
    assert gradient.tolist() == [[0, 0], [0, -1], [0, 0], [0, 1]]  # (0, 2) joins, (1, 3) comes after
    (gradient,) = torch.autograd.grad(death, points)
    assert_close(gradient, torch.tensor([[-0.6, -0.8], [0, 0], [0, 0], [0.6, 0.8]]))  # (0, 3) before (1, 2)


def test_equal_lengths_do_not_lead_the_gradient_astray():
    """Nine equal squares far apart: each bar is moved by its own square alone."""
    square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    centers = 64.0 * torch.cartesian_prod(torch.arange(3.0), torch.arange(3.0)).double()
    points = (square[None] + centers[:, None]).reshape(36, 2).requires_grad_()
    bars = rips_barcode(points, longest=10.0)[1]
    assert bars.tolist() == [[1, math.sqrt(2)]] * 9
    moved = []
    for bar in bars:
        owners = set()
        for end in bar:
            (gradient,) = torch.autograd.grad(end, points, retain_graph=True)
            assert gradient.norm(dim=1).tolist().count(0) == 34
            owners |= set((gradient.norm(dim=1).nonzero()[:, 0] // 4).tolist())
        assert len(owners) == 1
        moved += owners
    assert sorted(moved) == list(range(9))


# ---- properties


@settings(max_examples=25, deadline=None)
@given(kinds, st.integers(2, 25), st.integers(1, 5), seeds)
def test_order_place_and_direction_do_not_matter(kind, n, d, seed):
    points = cloud(kind, n, d, seed)
    bars = rips_barcode(points)
    generator = torch.Generator().manual_seed(seed)
    rounding = 1e-9 * float(points.abs().max())
    shift = points.abs().max() * torch.randn(d, generator=generator, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    for same in (points[torch.randperm(n, generator=generator)], points + shift, points @ rotation):
        for ours, theirs in zip(rips_barcode(same), bars, strict=True):
            assert bottleneck_distance(ours, theirs) <= rounding


@settings(max_examples=25, deadline=None)
@given(kinds, st.sampled_from([2.0**-800, 2.0**-20, 2.0**20, 2.0**800]), seeds)
def test_bars_have_the_unit_of_the_points(kind, factor, seed):
    points = cloud(kind, 20, 3, seed)
    for ours, theirs in zip(rips_barcode(points * factor), rips_barcode(points), strict=True):
        assert torch.equal(ours, theirs * factor)


@settings(max_examples=25, deadline=None)
@given(kinds, st.floats(1e-6, 0.3), seeds)
def test_a_small_move_of_the_points_is_a_small_move_of_the_bars(kind, size, seed):
    """The stability theorem: no point moves farther than e, no distance changes by more than 2 e."""
    points = cloud(kind, 20, 3, seed)
    moves = cloud("gaussian", 20, 3, seed + 1)
    moves = size * float(points.abs().max()) * moves / moves.norm(dim=1).max()
    bound = 2 * float(moves.norm(dim=1).max()) * (1 + 1e-9)
    for ours, theirs in zip(rips_barcode(points + moves), rips_barcode(points), strict=True):
        assert bottleneck_distance(ours, theirs) <= bound


@pytest.mark.parametrize("kind", KINDS)
def test_dimension_0_is_the_barcode_of_components(kind):
    points = cloud(kind, 30, 4)
    for max_dim in (0, 1):
        assert torch.equal(rips_barcode(points, max_dim)[0], h0_barcode(points))
    cut = rips_barcode(points, 0, longest=float(h0_barcode(points)[14, 1]))[0]
    assert torch.equal(cut[:15], h0_barcode(points)[:15])
    later = h0_barcode(points)[:, 1] > h0_barcode(points)[14, 1]
    assert torch.equal(cut[:, 1].isinf(), later)


@settings(max_examples=20, deadline=None)
@given(st.integers(4, 30), seeds)
def test_a_line_has_no_loop(n, seed):
    assert rips_barcode(cloud("gaussian", n, 1, seed), 2)[1].shape == (0, 2)
    assert rips_barcode(cloud("gaussian", n, 1, seed), 2)[2].shape == (0, 2)


def test_every_point_twice_changes_no_loop():
    points = cloud("gaussian", 50, 2, seed=5)
    once, twice = rips_barcode(points), rips_barcode(points.repeat_interleave(2, dim=0))
    assert len(once[1]) >= 3
    assert_close(twice[1], once[1])
    assert (twice[0] == 0).all(dim=1).sum() == 50


def test_cosine_is_one_minus_the_cosine():
    points = cloud("gaussian", 40, 4, seed=6) * torch.linspace(0.01, 1000, 40, dtype=torch.float64)[:, None]
    directions = points / points.norm(dim=1, keepdim=True)
    matrix = (1 - directions @ directions.T).clamp(min=0).fill_diagonal_(0)
    found = rips_barcode(points, 2, metric="cosine")
    assert all(len(rows) for rows in found)
    check_same(found, rips_barcode(matrix, 2, metric="precomputed"), rtol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_number_types_keep_their_type_and_lose_no_more_than_their_rounding(dtype):
    points = cloud("gaussian", 40, 3, seed=8).to(dtype)
    rounding = 8 * torch.finfo(dtype).eps
    for ours, exact in zip(rips_barcode(points), rips_barcode(points.double()), strict=True):
        assert ours.dtype == dtype
        assert (ours[:, 1] > ours[:, 0]).all()
        check_same([ours], [exact], rtol=rounding, least=4 * rounding)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "precomputed"])
def test_too_few_points_for_a_loop(n, metric):
    points = torch.ones(n, n) - torch.eye(n) if metric == "precomputed" else torch.eye(3)[:n]
    components, loops, voids = rips_barcode(points, 2, metric=metric)
    length = math.sqrt(2) if metric == "euclidean" else 1.0
    expected = [[0, length]] * (n - 1) + [[0, math.inf]] * (n > 0)
    assert_close(components, torch.tensor(expected).reshape(-1, 2))
    assert loops.shape == voids.shape == (0, 2)


def test_all_points_equal():
    points = torch.full((9, 2), 0.7, requires_grad=True)
    components, loops, voids = rips_barcode(points, 2)
    assert components.tolist() == [[0, 0]] * 8 + [[0, math.inf]]
    assert loops.shape == voids.shape == (0, 2)
    (gradient,) = torch.autograd.grad(components[:-1].sum() + loops.sum(), points)
    assert torch.equal(gradient, torch.zeros(9, 2))


def test_cut_before_the_loop_is_filled():
    """No triangle is left then: the dimension of the complex is that of the loop."""
    square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], requires_grad=True)
    assert rips_barcode(square, 1, longest=1.0)[1].tolist() == [[1, math.inf]]
    assert rips_barcode(square, 2, longest=1.2)[1].tolist() == [[1, math.inf]]
    bars = rips_barcode(square, longest=1.0)[1]
    (gradient,) = torch.autograd.grad(bars[:, 0].sum(), square)
    assert gradient.abs().sum() == 2  # one edge of unit length, two ends
    assert rips_barcode(square, longest=0.0)[0].tolist() == [[0, math.inf]] * 4
    assert rips_barcode(square, longest=0.0)[1].shape == (0, 2)


# ---- what it costs


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9), st.floats(0, 1), st.integers(2, 6), seeds)
def test_cliques_are_counted(n, share, size, seed):
    graph = torch.rand(n, n, generator=torch.Generator().manual_seed(seed)).triu(1) > 1 - share
    expected = sum(
        all(graph[u, v] for u, v in itertools.combinations(members, 2))
        for members in itertools.combinations(range(n), size)
    )
    assert homology._count_cliques(graph, size, 10**9) == expected


def test_a_complex_that_is_too_large_is_refused(monkeypatch):
    """16 corners of a hypercube: 120 pairs, and at scale 1 only 32 edges and no triangle."""
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)
    monkeypatch.setattr(homology, "LIMIT", 120)  # the pairs of 16 points
    assert len(rips_barcode(corners, longest=1.0)[1]) == 32 - 16 + 1
    with pytest.raises(ValueError, match=r"these 16 points up to dimension 2 has more than 120 simplices"):
        rips_barcode(corners)
    monkeypatch.setattr(homology, "LIMIT", 119)
    with pytest.raises(ValueError, match=r"16 points have 120 pairs, more than the 119 .* sample"):
        rips_barcode(corners, longest=1.0)
    assert len(rips_barcode(corners, 0)[0]) == 16


def test_the_limit_counts_what_is_built(monkeypatch):
    """The whole complex of 60 points has 34 220 triangles; long and needless edges are gone before."""
    points = cloud("gaussian", 60, 2, seed=9)
    monkeypatch.setattr(homology, "LIMIT", 60 * 59 // 2)
    assert len(rips_barcode(points)[1]) >= 5


# ---- errors


def test_only_dimension_0_goes_without_gudhi(monkeypatch):
    monkeypatch.setitem(sys.modules, "gudhi", None)
    points = cloud("gaussian", 5, 2)
    assert torch.equal(rips_barcode(points, 0)[0], h0_barcode(points))
    with pytest.raises(ImportError, match=r"gudhi: pip install 'conescope\[topology\]'"):
        rips_barcode(points, 1)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "precomputed"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_row_that_is_not_finite_is_named(metric, value):
    points = torch.ones(4, 4)
    points[2, 1] = value
    with pytest.raises(ValueError, match=r"finite, but 1 of 4 rows .* first in row 2"):
        rips_barcode(points, metric=metric)


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (torch.zeros(3, 2), {"max_dim": -1}, "0 or more, got -1"),
        (torch.zeros(3, 2), {"metric": "cosin"}, "one of euclidean, cosine, precomputed, got 'cosin'"),
        (torch.zeros(3, 2), {"longest": -1.0}, "0 or more, got -1.0; None keeps"),
        (torch.zeros(3, 2), {"longest": math.nan}, "0 or more, got nan"),
        (torch.eye(3)[:, :2], {"metric": "cosine"}, "1 of 3 rows are zero, the first is row 2"),
        (torch.zeros(3, 2), {"metric": "precomputed"}, r"shape \(n, n\), got \(3, 2\)"),
        (torch.eye(3), {"metric": "precomputed"}, r"zero on the diagonal, but entry \(0, 0\) is 1"),
        (-torch.ones(3, 3), {"metric": "precomputed"}, r"not be negative, but entry \(0, 0\) is -1"),
        (torch.ones(3, 3).triu(1), {"metric": "precomputed"}, r"symmetric, but entry \(0, 1\) is 1 .* is 0"),
        (torch.zeros(2, 3, 2), {}, r"shape \(n, d\)"),
    ],
)
def test_what_is_wrong_is_said(points, options, message):
    with pytest.raises(ValueError, match=message):
        rips_barcode(points, **options)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_same_on_an_accelerator():
    points = cloud("gaussian", 40, 3)
    for ours, theirs in zip(rips_barcode(points.cuda(), 2), rips_barcode(points, 2), strict=True):
        assert ours.is_cuda
        assert_close(ours.cpu(), theirs)
