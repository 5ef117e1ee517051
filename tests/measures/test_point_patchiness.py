import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures.point_patchiness import (
    patchiness_of_counts,
    point_patchiness,
    published_patchiness_of_counts,
    published_point_patchiness,
    quantization_error,
    quantization_spread,
    spread_of_cells,
)
from conescope.measures.quantization import quantize
from tests.reference import point_patchiness as reference

FUNCTIONS = [point_patchiness, published_point_patchiness, quantization_error]
COUNTS = st.integers(2, 6).flatmap(  # up to five codebooks of equally many cells, each a split of 20 points
    lambda k: st.lists(
        st.lists(st.integers(0, k - 1), min_size=20, max_size=20).map(
            lambda codes: [codes.count(cell) for cell in range(k)]
        ),
        min_size=1,
        max_size=5,
    )
)


def cloud(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([4, 0, 0, 0], 3.0),  # all 4 have 3 others, m = 1
        ([2, 2, 2, 2], 0.5),  # all have 1 other, m = 2
        ([5, 3, 2, 2], 0.833333),  # (5 4 + 3 2 + 2 1 + 2 1) / 12 = 2.5, m = 3
    ],
)
def test_patchiness_by_hand(counts, expected):
    assert patchiness_of_counts(torch.tensor([counts])).item() == pytest.approx(expected, abs=1e-6)
    assert published_patchiness_of_counts(torch.tensor([counts])).item() == pytest.approx(expected, abs=1e-6)


def test_published_form_by_hand():
    # counts have mean 3 and variance (4 + 0 + 1 + 1) / 4 = 1.5; m = 4 * 12 / 4 = 12
    found = published_patchiness_of_counts(torch.tensor([[5, 3, 2, 2]] * 4)).item()
    assert found == pytest.approx(0.927083, abs=1e-6)
    assert found == pytest.approx(1 + (1.5 / 9) / 16 - 4 / (4 * 12))


def test_codebooks_are_averaged():
    assert patchiness_of_counts(torch.tensor([[4, 0, 0, 0], [1, 1, 1, 1]])).item() == pytest.approx(1.5)


@settings(deadline=None)
@given(COUNTS)
def test_matches_mean_crowding_and_the_published_steps(codebooks):
    counts = torch.tensor(codebooks)
    assert patchiness_of_counts(counts).item() == pytest.approx(reference.patchiness(codebooks))
    published = published_patchiness_of_counts(counts).item()
    assert published == pytest.approx(reference.published_patchiness(codebooks))
    n, (m, k) = 20, counts.shape
    assert published == pytest.approx(1 + (reference.patchiness(codebooks) - 1 + k / n) / m**2 - k / (m * n))


def test_poisson_counts_give_one():
    rates = torch.full((4, 50_000), 3.0, dtype=torch.float64)
    counts = torch.poisson(rates, generator=torch.Generator().manual_seed(0)).long()
    assert patchiness_of_counts(counts).item() == pytest.approx(1, abs=0.01)


def test_counts_without_points():
    assert patchiness_of_counts(torch.zeros(2, 4, dtype=torch.int64)).isnan()
    assert published_patchiness_of_counts(torch.zeros(2, 4, dtype=torch.int64)).isnan()
    assert patchiness_of_counts(torch.zeros(0, 4, dtype=torch.int64)).isnan()
    assert published_patchiness_of_counts(torch.zeros(0, 4, dtype=torch.int64)).isnan()


HEAPS = torch.tensor([[-1.0], [-1.1], [-1.2], [1.0], [1.1], [1.2]], dtype=torch.float64)
UNEVEN = torch.tensor([[-1.0], [-1.1], [-1.2], [-1.3], [3.0], [3.1]], dtype=torch.float64)


def test_even_and_uneven_heaps_by_hand():
    # two cells of 3: 2 others each, over m = 3
    assert point_patchiness(HEAPS).item() == pytest.approx(2 / 3)
    # cells of 4 and 2: (4 3 + 2 1) / 6 others on average, over m = 3
    assert point_patchiness(UNEVEN).item() == pytest.approx(14 / 18)


def test_spread_of_heaps_by_hand():
    found = quantization_spread(HEAPS)
    total = 2 * (1 + 1.21 + 1.44)
    assert found.reconstruction_error.item() == pytest.approx(4 * 0.01 / total)
    assert quantization_error(HEAPS + 5).item() == pytest.approx(4 * 0.01 / total)  # their mean is 0
    # errors over the greatest: 0 0 1 1 1 1; the quartiles lie at positions 1.25 and 3.75
    assert found.error_iqr.item() == pytest.approx(1 - 0.25, abs=1e-5)
    # steps from 2/3: third moment (2 (-2/3)^3 + 4 (1/3)^3) / 6 = -2/27, second 2/9
    assert found.error_skew.item() == pytest.approx(-2 / 27 / (2 / 9) ** 1.5, abs=1e-5)
    assert found.centroid_spread.item() == pytest.approx(0, abs=1e-12)  # each is the other's nearest
    assert found.within_cell_eee.item() == 0  # one dimension
    assert found.count_variance.item() == 0  # odds 1 and 1


def test_count_variance_by_hand():
    # shares 2/3 and 1/3, odds 2 and 1/2
    assert quantization_spread(UNEVEN).count_variance.item() == pytest.approx(0.75**2)


def test_cells_of_two_points():
    # of two points in a plane one direction holds all: EEE is 1/4
    points = torch.tensor([[0.0, 0.0], [0.1, 0.2], [5.0, 5.0], [5.2, 5.1]]).double()
    assert quantization_spread(points, codebooks=1).within_cell_eee.item() == pytest.approx(0.25)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(16, 60),
    d=st.integers(2, 9),
    quantizer=st.sampled_from(["product", "additive"]),
    seed=st.integers(0, 2**31 - 1),
)
def test_spread_matches_the_reference(n, d, quantizer, seed):
    points = cloud(n, d, seed)[torch.arange(n) // 2] + 0.5  # every point twice: cells hold repeated ones
    cells = quantize(points, quantizer=quantizer, bits=2, seed=seed)
    codes, centroids = cells.codes.numpy(), cells.centroids.numpy()
    approximated = reference.reconstruction(codes, centroids, points.numpy().min(axis=0), quantizer)
    expected = reference.spread(points.numpy(), approximated, codes, centroids)
    for name, value in spread_of_cells(cells)._asdict().items():
        if name == "error_skew" and value.isnan():
            continue
        assert value.item() == pytest.approx(expected[name], rel=1e-6, abs=1e-9, nan_ok=True), name


def test_published_error_is_not_centered():
    points = cloud(100, 4)
    assert quantization_error(points, center=False).item() == pytest.approx(
        quantization_spread(points).reconstruction_error.item()
    )
    assert quantization_error(points + 100, center=False) < 1e-3 * quantization_error(points + 100)


def test_functions_are_finishes_of_the_cells():
    points = cloud(200, 6)
    cells = quantize(points, codebooks=3, bits=3, seed=4)
    options = {"codebooks": 3, "bits": 3, "seed": 4}
    assert point_patchiness(points, **options) == patchiness_of_counts(cells.counts)
    assert published_point_patchiness(points, **options) == published_patchiness_of_counts(cells.counts)
    assert quantization_spread(points, **options) == spread_of_cells(cells)


def test_a_heap_among_scattered_points_is_patchy():
    scattered = torch.rand(200, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    heap = scattered.clone()
    heap[:150] = heap[0] + 1e-3 * heap[:150]
    for quantizer in ("product", "additive"):
        patchy = point_patchiness(heap, quantizer=quantizer, bits=3)
        assert patchy > 2 * point_patchiness(scattered, quantizer=quantizer, bits=3)


def test_more_bits_leave_less_error():
    points = cloud(300, 6)
    errors = [quantization_error(points, bits=bits).item() for bits in (1, 3, 5)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < 1


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("points", [cloud(0, 3), cloud(1, 3), cloud(2, 3), cloud(3, 3), torch.ones(50, 3)])
def test_undefined_is_nan(function, points):
    assert function(points).isnan()
    assert function(points, quantizer="additive").isnan()


def test_undefined_spread_is_nan():
    assert all(value.isnan() for value in quantization_spread(cloud(3, 3)))
    assert all(value.isnan() for value in quantization_spread(torch.ones(50, 3)))


def test_errors_that_are_rounding_have_no_skew():
    exact = torch.tensor([[0.1], [0.7]], dtype=torch.float64).repeat(5, 1)  # two cells of equal points
    found = quantization_spread(exact)
    assert found.error_iqr.isnan()
    assert found.error_skew.isnan()
    assert found.within_cell_eee.isnan()  # no cell has two points that differ
    assert found.reconstruction_error.item() == pytest.approx(0, abs=1e-12)


def test_one_cell_that_holds_all_has_no_odds():
    points = cloud(40, 4)
    points[:, 1] = 3
    assert quantization_spread(points).count_variance.isnan()
    others = quantize(points).counts[[0, 2, 3]]
    assert point_patchiness(points).item() == pytest.approx(
        (3 * patchiness_of_counts(others).item() + 2 - 2 / 40) / 4
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_spread_keeps_the_dtype(dtype):
    points = cloud(60, 5).to(dtype)
    found, exact = quantization_spread(points), quantization_spread(points.double())
    assert all(value.dtype == dtype for value in found)
    assert [value.item() for value in found] == [value.to(dtype).item() for value in exact]


def test_fewer_points_than_dimensions():
    points = cloud(12, 40)
    found = quantize(points)
    assert point_patchiness(points).item() == pytest.approx(reference.patchiness(found.counts.tolist()))
    assert not math.isnan(quantization_error(points))
    assert np.isfinite([value.item() for value in quantization_spread(points)]).all()
