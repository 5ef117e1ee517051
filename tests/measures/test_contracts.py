"""Every row of MEASURES is held to what it declares."""

import math
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope import measures
from conescope.measures import MEASURES
from conescope.measures.cluster_isotropy import cluster_isotropy_estimate
from conescope.measures.neighbors import neighbors
from conescope.measures.persistent_entropy import bars
from conescope.measures.quantization import quantize
from conescope.measures.spectrum import spectrum_from_moments
from conescope.scale.moments import moments

ROWS = pytest.mark.parametrize("row", MEASURES.values(), ids=list(MEASURES))
DOCS = Path(__file__).parents[2] / "docs" / "measures"
HEADINGS = [
    "In one sentence",
    "Formula",
    "Reading the number",
    "When it misleads",
    "Relations",
    "Published values",
    "References",
]
HARD_CLOUDS = ["gaussian", "spectrum", "offset", "repeated", "line", "tiny"]


def classes_of(points):
    return torch.arange(len(points), device=points.device) % 3


def partners_of(points):
    """A positive for every point: the point itself, stretched along one axis."""
    return points * torch.linspace(1, 2, points.shape[1], dtype=points.dtype, device=points.device)


def value(row, points, labels=None, partners=None):
    if row.needs == "labels":
        return row.function(points, classes_of(points) if labels is None else labels)
    if row.needs == "partners":
        return row.function(points, partners_of(points) if partners is None else partners)
    return row.function(points)


def changed(row, change, points, labels):
    """The value after a change of points and labels; partners undergo what the points do."""
    moved, classes = CHANGES[change](points, labels)
    return value(row, moved, classes, CHANGES[change](partners_of(points), labels)[0])


def cloud(n, d, seed=0, kind="gaussian"):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(n, d, dtype=torch.float64, generator=generator)
    if kind == "spectrum":
        points *= torch.arange(1, d + 1) ** -1.5
    if kind == "offset":
        points += 30
    if kind == "repeated":
        points = points[torch.arange(n) // 2]
    if kind == "line":
        points = points[:, :1] * torch.linspace(1, 2, d)
    return points * 1e-160 if kind == "tiny" else points


def turn(points):
    generator = torch.Generator().manual_seed(7)
    d = points.shape[1]
    return points @ torch.linalg.qr(torch.randn(d, d, dtype=torch.float64, generator=generator)).Q


# what may be done to the points and their labels
CHANGES = {
    "translation": lambda x, y: (x + torch.linspace(-1, 2, x.shape[1]), y),
    "rotation": lambda x, y: (turn(x), y),
    "scale": lambda x, y: (x * 0.3, y),
    "row-scale": lambda x, y: (x * torch.linspace(0.5, 3, len(x))[:, None], y),
    "permutation": lambda x, y: (x.flip(0), y.flip(0)),
    "duplication": lambda x, y: (torch.cat([x, x]), torch.cat([y, y])),
    "class-translation": lambda x, y: (x + y[:, None] * torch.linspace(3, -2, x.shape[1]), y),
}


@ROWS
@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(2, 12), d=st.integers(1, 9), seed=st.integers(0, 2**31), kind=st.sampled_from(HARD_CLOUDS)
)
def test_bounds(row, n, d, seed, kind):
    found = value(row, cloud(n, d, seed, kind)).item()
    low, high = row.bounds(n, d)
    assert math.isnan(found) or low - 1e-9 <= found <= high + 1e-9


EVEN = {  # at the cross-polytope +-e_i, where no direction is preferred and all gaps are equal
    "mean_cosine": lambda n, d: -1 / (n - 1),
    "mean_cosine_centered": lambda n, d: -1 / (n - 1),
    "anisotropy_1": lambda n, d: 1 / d,
    "anisotropy_1_uncentered": lambda n, d: 1 / d,
    "anisotropy_1_within_class": lambda n, d: 1 / d,
    "isoscore": lambda n, d: 1,
    "effective_rank": lambda n, d: d,
    "effective_rank_of_variances": lambda n, d: d,
    "participation_ratio": lambda n, d: d,
    "stable_rank": lambda n, d: d,
    "condition_number": lambda n, d: 1,
    "isoscore_star": lambda n, d: 1,
    "eee": lambda n, d: 0,
    "relative_drift": lambda n, d: 0,
    "norm_variation": lambda n, d: 0,
    "persistent_entropy": lambda n, d: math.log(n - 1),
    "relative_persistent_entropy": lambda n, d: 1,
    "longest_bar_ratio": lambda n, d: 1,
}


@pytest.mark.parametrize("name", EVEN)
@pytest.mark.parametrize("d", [2, 7])
def test_even_design(name, d):
    row, axes, n = MEASURES[name], torch.eye(d, dtype=torch.float64), 2 * d
    expected = EVEN[name](n, d)
    pairs = torch.arange(n) % d  # e_i and -e_i are one class
    assert value(row, torch.cat([axes, -axes]), pairs).item() == pytest.approx(expected, abs=1e-12)
    if row.better != "neither" and name != "mean_cosine":
        assert expected == pytest.approx(row.bounds(n, d)[row.better == "higher"])  # the best there can be


@ROWS
@pytest.mark.parametrize(("n", "d"), [(600, 20), (60, 300)])
def test_isotropic_gaussian(row, n, d):
    if row.isotropic(n, d) is None:
        pytest.skip("no formula: a Gaussian cloud is drawn and measured instead")
    partners = cloud(n, d, seed=1)
    assert value(row, cloud(n, d), partners=partners).item() == pytest.approx(
        row.isotropic(n, d), rel=0.04, abs=0.008
    )


@ROWS
def test_better_is_farther_from_a_line(row):
    if row.better == "neither":
        pytest.skip("says nothing of isotropy")
    stretched = cloud(100, 6) * torch.tensor([1, 1e-3, 1e-3, 1e-3, 1e-3, 1e-3]) + torch.tensor(
        [5.0, 0, 0, 0, 0, 0]
    )
    worse, better = value(row, stretched), value(row, cloud(100, 6))
    assert (better > worse) == (row.better == "higher")


COUNTS = {"cluster_count", "selected_bars"}  # whole numbers may stay the same for no reason


@ROWS
@pytest.mark.parametrize("change", CHANGES)
def test_unchanged_by_what_is_declared_and_by_nothing_else(row, change):
    same = []
    for n, d in [(14, 5), (5, 9), (60, 20)]:
        points = cloud(n, d, kind="spectrum") + 0.4
        labels = classes_of(points)
        before, after = value(row, points, labels), changed(row, change, points, labels)
        same.append(torch.isclose(before, after, rtol=1e-9, atol=1e-12, equal_nan=True).item())
    declared = change in row.invariant.split()
    assert all(same) == declared or (row.name in COUNTS and not declared)


@ROWS
@settings(max_examples=10, deadline=None)
@given(n=st.integers(5, 12), d=st.integers(2, 9), seed=st.integers(0, 2**31))
def test_declared_invariances_hold_for_any_cloud(row, n, d, seed):
    points = cloud(n, d, seed)
    labels = classes_of(points)
    before = value(row, points, labels)
    for change in row.invariant.split():
        torch.testing.assert_close(
            changed(row, change, points, labels), before, rtol=1e-7, atol=1e-9, equal_nan=True
        )


@ROWS
@pytest.mark.parametrize("scale", [1e-250, 1e250])
def test_unit_may_be_extreme(row, scale):
    if "scale" not in row.invariant.split():
        pytest.skip("has a unit")
    torch.testing.assert_close(value(row, cloud(9, 4) * scale), value(row, cloud(9, 4)), equal_nan=True)


@ROWS
@pytest.mark.parametrize(("n", "d"), [(8, 3), (5, 7)])
def test_gradient(row, n, d):
    if not row.differentiable:
        pytest.skip("counts, and has no gradient")
    points = cloud(n, d) + 0.5
    if value(row, points).isnan():
        points = cloud(n, d) + 2  # rogue dimensions need a mean cosine that is clearly positive
    points.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: value(row, x), points)


@ROWS
def test_gradient_is_finite_at_repeated_and_zero_points(row):
    if not row.differentiable:
        pytest.skip("counts, and has no gradient")
    points = cloud(10, 3, kind="repeated")
    points[:2] = 0
    points.requires_grad_()
    value(row, points).backward()
    assert torch.isfinite(points.grad).all()
    assert (points.grad != 0).any()


@ROWS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_keeps_dtype_and_computes_in_double(row, dtype):
    points = (cloud(40, 8) + 0.2).to(dtype)
    found = value(row, points)
    exact = value(row, points.double(), partners=partners_of(points).double())
    assert found.dtype == dtype
    assert found.shape == ()
    torch.testing.assert_close(found, exact.to(dtype), rtol=0, atol=0, equal_nan=True)


def statistic(row, points, labels):
    """What the row reads, computed as for many rows."""
    if row.reads == "moments":
        return moments(points, labels, order=row.order)
    if row.reads == "neighbors":
        return neighbors(points)
    if row.reads == "bars":
        return bars(points)
    if row.reads == "quantization":
        return quantize(points)
    if row.reads == "clusters":
        return cluster_isotropy_estimate(points)
    return spectrum_from_moments(moments(points), center=row.reads == "spectrum")


@ROWS
@pytest.mark.parametrize(("n", "d"), [(40, 6), (12, 20), (3, 2)])
@pytest.mark.parametrize("kind", ["gaussian", "offset", "repeated"])
def test_finish_of_the_shared_statistic_is_the_function(row, n, d, kind):
    if row.finish is None:
        assert row.reads == "points"
        return
    points = cloud(n, d, kind=kind)
    found = row.finish(statistic(row, points, classes_of(points)))
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, value(row, points), rtol=1e-7, atol=1e-9, equal_nan=True)


@ROWS
def test_layout_in_memory_does_not_matter(row):
    points = cloud(12, 8)
    expected = value(row, points[:, ::2].clone())
    torch.testing.assert_close(value(row, points[:, ::2]), expected, equal_nan=True)
    torch.testing.assert_close(value(row, points[:, ::2].T.contiguous().T), expected, equal_nan=True)


@ROWS
def test_input_is_left_alone(row):
    points = cloud(12, 4)
    before = points.clone()
    value(row, points)
    assert torch.equal(points, before)


@ROWS
def test_nan_is_refused_with_its_row(row):
    points = cloud(6, 3)
    points[4, 0] = torch.inf
    with pytest.raises(ValueError, match="the first in row 4"):
        value(row, points)


@ROWS
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_same_on_the_gpu(row):
    points = cloud(50, 20)
    found = value(row, points.cuda())
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), value(row, points))


def test_names():
    assert list(MEASURES) == [row.name for row in MEASURES.values()]
    assert all(callable(getattr(measures, name)) for name in measures.__all__ if name.islower())
    assert measures.__all__ == sorted(measures.__all__)


@ROWS
def test_documented_in_the_table_and_on_a_page(row):
    line = next(
        line for line in (DOCS / "README.md").read_text().splitlines() if line.startswith(f"| `{row.name}`")
    )
    _, _, _, _, unchanged, link, _ = (cell.strip() for cell in line.split("|"))
    assert {*unchanged.split(", "), "permutation"} == set(row.invariant.split())
    page = (DOCS / re.search(r"\((.*)\)", link)[1]).read_text()
    assert f"`{row.name}`" in page
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == HEADINGS
