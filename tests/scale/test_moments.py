"""Moments of one pass, against NumPy in float64 on all points at once."""

from dataclasses import fields
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.scale import moments as module
from conescope.scale import panels
from conescope.scale.moments import SINGLE_RESOLUTION, merge, moments

EPS = torch.finfo(torch.float64).eps


def normal(n, d, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, dtype=torch.float64, generator=generator).to(dtype)


@pytest.fixture
def small_panels(monkeypatch):
    """Panels of a few rows, so that clouds of a test have many."""
    monkeypatch.setattr(module, "PANEL", 7)
    monkeypatch.setattr(panels, "CACHED", 21)
    monkeypatch.setattr(module, "GROUP", 2)


def truth(points):
    """The fields of order 2, from their definitions."""
    rows = points.detach().double().numpy()
    mean = np.array([np.float64(np.mean(column.astype(np.longdouble))) for column in rows.T])
    deviations = rows - mean
    norms = np.sqrt((rows**2).sum(axis=1))
    units = rows[norms > 0] / norms[norms > 0, None]
    return {
        "mean": mean,
        "directions": len(units),
        "direction_sum": units.sum(axis=0),
        "norm_mean": norms.mean(),
        "norm_scatter": ((norms - norms.mean()) ** 2).sum(),
        "norm_range": (norms.min(), norms.max()),
        "scatter": deviations.T @ deviations,
        "direction_square_sum": (units**2).sum(axis=0),
    }


def assert_same(found, expected, rtol, resolution=None):
    """Compare with `truth`: each field by its own size, the scatter by its largest entry."""
    largest = expected["norm_range"][1]
    close = np.testing.assert_allclose
    close(found.mean, expected["mean"], rtol=rtol, atol=rtol * largest)
    assert found.directions == expected["directions"]
    count = max(found.directions, 1)
    close(found.direction_sum, expected["direction_sum"], rtol=rtol, atol=rtol * count)
    close(found.norm_mean, expected["norm_mean"], rtol=rtol)
    close(found.norm_scatter, expected["norm_scatter"], rtol=rtol, atol=rtol * found.n * largest**2)
    close(found.norm_range, expected["norm_range"], rtol=rtol)
    if found.scatter is not None:
        size = np.abs(expected["scatter"]).max()
        close(found.scatter, expected["scatter"], rtol=0, atol=size * (resolution or rtol))
        close(found.direction_square_sum, expected["direction_square_sum"], rtol=rtol, atol=rtol * count)


def test_values_by_hand():
    # mean (2, 2); deviations (1, 2), (-2, -2), (1, 0); norms 5, 0, sqrt(13)
    found = moments(torch.tensor([[3.0, 4.0], [0.0, 0.0], [3.0, 2.0]]))
    assert (found.n, found.d, found.directions) == (3, 2, 2)
    assert found.mean.tolist() == [2, 2]
    assert found.scatter.tolist() == [[6, 6], [6, 8]]
    root = 13**0.5
    assert found.direction_sum.tolist() == pytest.approx([0.6 + 3 / root, 0.8 + 2 / root])
    assert found.direction_square_sum.tolist() == pytest.approx([0.36 + 9 / 13, 0.64 + 4 / 13])
    assert found.norm_mean.item() == pytest.approx((5 + root) / 3)
    assert found.norm_scatter.item() == pytest.approx(25 + 13 - (5 + root) ** 2 / 3)
    assert found.norm_range == pytest.approx((0, root if root > 5 else 5))


CLOUDS = {
    "plain": lambda: normal(50, 4),
    "fewer points than dimensions": lambda: normal(3, 9),
    "one point": lambda: normal(1, 3),
    "one dimension": lambda: normal(20, 1),
    "duplicates": lambda: normal(10, 3).repeat(4, 1),
    "zero vectors": lambda: torch.cat([normal(9, 3), torch.zeros(12, 3)]),
    "only zeros": lambda: torch.zeros(9, 3),
    "rogue coordinate": lambda: normal(40, 5) * torch.tensor([1, 1, 1e3, 1, 1]),
    "first panel unlike the rest": lambda: torch.cat([torch.zeros(7, 3), normal(700, 3) + 1000]),
    "drift": lambda: normal(60, 3) + 100 * torch.arange(60)[:, None],
    "units that differ between rows": lambda: normal(30, 3) * 10.0 ** torch.arange(-15, 15)[:, None],
}


@pytest.mark.usefixtures("small_panels")
@pytest.mark.parametrize("kind", CLOUDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_double_matches_numpy(kind, dtype):
    points = CLOUDS[kind]().to(dtype)
    assert_same(moments(points), truth(points), rtol=1e-13)


@pytest.mark.usefixtures("small_panels")
@pytest.mark.parametrize("kind", CLOUDS)
def test_single_stays_within_its_resolution(kind):
    points = CLOUDS[kind]().float()
    found = moments(points, precision="single")
    assert found.resolution == SINGLE_RESOLUTION
    assert_same(found, truth(points), rtol=2e-6, resolution=found.resolution)
    assert found.scatter.dtype == found.mean.dtype == found.direction_sum.dtype == torch.float64


def test_single_is_made_of_float32_products_and_double_is_not():
    points = normal(500, 20, dtype=torch.float32)
    scatter = truth(points)["scatter"]
    single, double = moments(points, precision="single").scatter, moments(points).scatter
    assert np.abs(double.numpy() - scatter).max() < 1e-14 * scatter.max()
    assert 1e-10 * scatter.max() < np.abs(single.numpy() - scatter).max() < 1e-6 * scatter.max()


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("d", [127, 128, 130, 132, 136, 201])
def test_scatter_by_blocks_of_columns(d, precision, monkeypatch):
    monkeypatch.setattr(module, "PANEL", 40)  # more than one of them, and a short one
    points = normal(150, d, dtype=torch.float32) + 0.5
    found = moments(points, precision=precision)
    rtol = 1e-13 if precision == "double" else 2e-6
    assert_same(found, truth(points), rtol=rtol, resolution=found.resolution)
    assert torch.equal(found.scatter, found.scatter.T)


def test_float64_points_are_never_narrowed():
    points = normal(50, 4)
    assert torch.equal(moments(points, precision="single").scatter, moments(points).scatter)


@pytest.mark.parametrize("cores", [1, 2, 3, 100])
@pytest.mark.parametrize("n", [1, 6, 7, 20, 21, 22, 43, 44, 90])
@pytest.mark.parametrize("order", [1, 2])
def test_any_number_of_cores_gives_the_same_sums(monkeypatch, cores, n, order):
    monkeypatch.setattr(module, "PANEL", 44)  # two pieces of three cores, and two rows
    monkeypatch.setattr(panels, "CACHED", 21)
    monkeypatch.setattr(module, "GROUP", 2)
    monkeypatch.setattr(module, "careful_panel", None)  # float32 does for these points
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    points = normal(n, 3, dtype=torch.float32) + 0.5
    found = moments(points, precision="single", order=order)
    assert_same(found, truth(points), rtol=2e-6, resolution=found.resolution)


@pytest.mark.usefixtures("small_panels")
@pytest.mark.parametrize("order", [1, 2])
def test_zero_vectors_do_not_make_single_precision_double(order, monkeypatch):
    widened = []
    monkeypatch.setattr(panels, "check_finite", lambda panel, first: widened.append(first))
    points = normal(70, 3, dtype=torch.float32)
    points[[0, 20, 55]] = 0
    found = moments(points, precision="single", order=order)
    assert_same(found, truth(points), rtol=2e-6, resolution=found.resolution)
    assert found.directions == 67
    assert widened == []  # which is where float64 begins
    points[20] = 1e-30  # not zero, though its square is in float32
    assert moments(points, precision="single", order=order).directions == 68
    assert widened != []


@pytest.mark.usefixtures("small_panels")
@pytest.mark.parametrize("ratio", [1e3, 1e6])
def test_mean_much_larger_than_the_spread(ratio):
    points = normal(300, 4) + ratio * torch.tensor([1.0, -2.0, 3.0, 0.5])
    assert_same(moments(points), truth(points), rtol=1e-9)
    narrow = points.float()
    found = moments(narrow, precision="single")
    assert_same(found, truth(narrow), rtol=2e-6, resolution=found.resolution)


@pytest.mark.usefixtures("small_panels")
@pytest.mark.parametrize("precision", ["single", "double"])
def test_scatter_does_not_pay_for_a_first_panel_that_is_unlike_the_rest(precision):
    # products about the mean of the first rows would be n / 7 times the scatter, and so would rounding
    points = torch.cat([torch.zeros(7, 4), normal(20_000, 4) + 1e6]).float()
    found, scatter = moments(points, precision=precision), truth(points)["scatter"]
    tolerance = 3e-7 if precision == "single" else 1e-14
    np.testing.assert_allclose(found.scatter, scatter, rtol=0, atol=tolerance * scatter.max())


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("value", [0.1, 1e-20, 7e15, 1e30])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.usefixtures("small_panels")
def test_coincident_points_have_no_scatter_at_all(precision, value, dtype):
    points = torch.full((40, 3), value, dtype=dtype)
    found = moments(points, precision=precision)
    assert (found.scatter == 0).all()
    assert torch.equal(found.mean, points[0].double())
    halves = moments(points[:11], precision=precision), moments(points[11:], precision=precision)
    assert (merge(*halves).scatter == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("order", [1, 2])
def test_narrow_types_are_read_as_the_numbers_they_hold(dtype, precision, order):
    points = (normal(60, 5) + 1).to(dtype)
    rtol = 2e-6 if precision == "single" else 1e-13
    assert_same(moments(points, precision=precision, order=order), truth(points), rtol=rtol)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("order", [1, 2])
def test_extreme_unit_falls_back_to_double(scale, order):
    points = normal(60, 5, dtype=torch.float32) * scale
    found = moments(points, precision="single", order=order)
    assert_same(found, truth(points), rtol=1e-13)


@pytest.mark.usefixtures("small_panels")
@pytest.mark.parametrize("first", [1e30, 1e-30])
def test_ordinary_rows_after_extreme_ones(first):
    points = torch.cat([normal(7, 3) * first, normal(14, 3), normal(7, 3) * first]).float()
    found = moments(points, precision="single")
    assert_same(found, truth(points), rtol=2e-6, resolution=found.resolution)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_unit_whose_squares_do_not_exist_is_refused(scale):
    with pytest.raises(ValueError, match="change the unit"):
        moments(normal(5, 2) * scale)
    points = normal(5, 2)
    points[3] *= scale  # one such row among others would lose its direction
    with pytest.raises(ValueError, match="change the unit"):
        moments(points)


@pytest.mark.usefixtures("small_panels")
@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("row", [0, 23])
def test_row_with_nan_is_named_beyond_the_first_panel(precision, order, bad, row):
    points = normal(30, 3, dtype=torch.float32)
    points[row, 1] = bad
    with pytest.raises(ValueError, match=rf"the first in row {row};"):
        moments(points, precision=precision, order=order)


def test_rows_are_counted_from_first():
    points = normal(30, 3)
    points[4, 1] = torch.nan
    with pytest.raises(ValueError, match="the first in row 104;"):
        moments(points, first=100)


def test_no_point_is_refused():
    with pytest.raises(ValueError, match="at least one point"):
        moments(torch.zeros(0, 3))


@pytest.mark.usefixtures("small_panels")
@pytest.mark.parametrize("precision", ["single", "double"])
def test_order_1_leaves_out_what_is_dear_and_nothing_else(precision):
    points = normal(50, 4, dtype=torch.float32) + 2
    labels = torch.arange(50) % 3
    one = moments(points, labels, order=1, precision=precision)
    two = moments(points, labels, order=2, precision=precision)
    assert one.scatter is None
    assert one.direction_square_sum is None
    rtol = 1e-6 if precision == "single" else 1e-13
    for name in ("mean", "direction_sum", "norm_mean", "norm_scatter"):
        torch.testing.assert_close(getattr(one, name), getattr(two, name), rtol=rtol, atol=rtol)
    assert (one.n, one.d, one.directions) == (two.n, two.d, two.directions)
    assert one.norm_range == two.norm_range
    for part in fields(one.classes):
        torch.testing.assert_close(getattr(one.classes, part.name), getattr(two.classes, part.name))


@pytest.mark.parametrize("layout", ["strided", "transposed", "reversed"])
def test_layout_in_memory_does_not_matter(layout):
    points = normal(30, 6)
    view = {
        "strided": points[:, ::2],
        "transposed": points[:, :3].T.contiguous().T,
        "reversed": points.flip(1),
    }
    assert_same(moments(view[layout]), truth(view[layout]), rtol=1e-13)


# any split, any order


def cut(points, labels, cuts, **options):
    edges = [0, *sorted(cuts), len(points)]
    return [
        moments(points[a:b], None if labels is None else labels[a:b], **options)
        for a, b in pairwise(edges)
        if b > a
    ]


def any_order(parts, choose):
    """Merge two of the parts, whichever, until one is left."""
    parts = list(parts)
    while len(parts) > 1:
        one = parts.pop(choose(len(parts)))
        other = parts.pop(choose(len(parts)))
        parts.append(merge(one, other))
    return parts[0]


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 40),
    d=st.integers(1, 6),
    seed=st.integers(0, 2**31),
    offset=st.sampled_from([0.0, 3.0, 1000.0]),
    order=st.sampled_from([1, 2]),
    precision=st.sampled_from(["double", "single"]),
    data=st.data(),
)
def test_any_split_merged_in_any_order_gives_the_same_numbers(n, d, seed, offset, order, precision, data):
    points = normal(n, d, seed) + offset
    points[:: data.draw(st.integers(2, 50))] = 0
    points = points.float() if precision == "single" else points
    labels = torch.arange(n) * 7 % 4
    cuts = data.draw(st.lists(st.integers(0, n), max_size=8))
    parts = cut(points, labels, cuts, order=order, precision=precision)
    found = any_order(parts, lambda count: data.draw(st.integers(0, count - 1)))
    whole = moments(points, labels, order=order, precision=precision)
    rtol = 1e-6 if precision == "single" else 1e-12
    assert_same(found, truth(points), rtol=rtol)
    assert (found.n, found.d, found.resolution) == (whole.n, whole.d, whole.resolution)
    assert torch.equal(found.classes.counts, whole.classes.counts)
    assert torch.equal(found.classes.direction_counts, whole.classes.direction_counts)
    size = points.abs().max().double() + 1e-300
    torch.testing.assert_close(found.classes.means / size, whole.classes.means / size, rtol=0, atol=1e-14 * n)
    sums = found.classes.direction_sums, whole.classes.direction_sums
    torch.testing.assert_close(*sums, rtol=0, atol=rtol * n)


def test_merge_is_exact_on_a_mean_a_million_times_the_spread():
    points = normal(400, 3) + 1e6
    found = reduce(merge, cut(points, None, [3, 50, 51, 300]))
    assert_same(found, truth(points), rtol=1e-9)


def test_merge_of_a_single_and_a_double_part_is_as_coarse_as_the_coarser():
    points = normal(60, 3, dtype=torch.float32)
    found = merge(moments(points[:30]), moments(points[30:], precision="single"))
    assert found.resolution == SINGLE_RESOLUTION


def test_resolution_grows_with_the_sums():
    points = normal(200, 3)
    assert moments(points).resolution == 200 * EPS
    assert moments(points[:2]).resolution == 3 * EPS
    assert merge(moments(points[:2]), moments(points[2:])).resolution == 200 * EPS


# classes


def test_class_moments_by_definition():
    points, labels = normal(30, 3) + 1, torch.arange(30) % 4
    points[4] = 0  # of class 0
    labels[labels == 2] = 3  # class 2 is empty
    found = moments(points, labels, classes=6).classes
    assert found.counts.tolist() == [8, 8, 0, 14, 0, 0]
    assert found.direction_counts.tolist() == [7, 8, 0, 14, 0, 0]
    for label in range(6):
        rows = points[labels == label].numpy()
        norms = np.linalg.norm(rows, axis=1)
        units = rows[norms > 0] / norms[norms > 0, None]
        expected = rows.mean(axis=0) if len(rows) else np.zeros(3)
        np.testing.assert_allclose(found.means[label], expected, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(found.direction_sums[label], units.sum(axis=0), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("swapped", [False, True])
def test_parts_that_know_different_numbers_of_classes(swapped):
    points = normal(30, 3)
    labels = torch.cat([torch.zeros(10, dtype=torch.int64), torch.arange(20) % 5])
    parts = moments(points[:10], labels[:10]), moments(points[10:], labels[10:])
    assert [len(part.classes.counts) for part in parts] == [1, 5]
    found = merge(*(parts[::-1] if swapped else parts)).classes
    whole = moments(points, labels).classes
    for part in fields(whole):
        torch.testing.assert_close(getattr(found, part.name), getattr(whole, part.name))


def test_merge_refuses_what_does_not_fit():
    points, labels = normal(6, 3), torch.zeros(6, dtype=torch.int64)
    with pytest.raises(ValueError, match="of 3 and of 2 dimensions"):
        merge(moments(points), moments(points[:, :2]))
    with pytest.raises(ValueError, match="order 1 and 2"):
        merge(moments(points), moments(points, order=1))
    with pytest.raises(ValueError, match="with and without labels"):
        merge(moments(points, labels), moments(points))


# gradients


@pytest.mark.usefixtures("small_panels")
@pytest.mark.parametrize(
    "field", ["mean", "scatter", "direction_sum", "direction_square_sum", "norm_mean", "norm_scatter"]
)
@pytest.mark.parametrize("merged", [False, True])
def test_gradient(field, merged):
    points = (normal(9, 3) + 0.5).requires_grad_()

    def value(rows):
        found = merge(moments(rows[:2]), moments(rows[2:])) if merged else moments(rows)
        return getattr(found, field)

    assert torch.autograd.gradcheck(value, points)


def test_gradient_of_class_means():
    points, labels = (normal(9, 3) + 0.5).requires_grad_(), torch.arange(9) % 2
    assert torch.autograd.gradcheck(lambda rows: moments(rows, labels).classes.means, points)
    assert torch.autograd.gradcheck(lambda rows: moments(rows, labels).classes.direction_sums, points)


def test_zero_vectors_leave_the_gradient_of_directions_finite():
    points = torch.cat([torch.zeros(2, 3), normal(5, 3)]).requires_grad_()
    moments(points).direction_sum.sum().backward()
    alone = points.detach()[2:].requires_grad_()
    moments(alone).direction_sum.sum().backward()
    torch.testing.assert_close(points.grad[2:], alone.grad)
    assert torch.isfinite(points.grad).all()
