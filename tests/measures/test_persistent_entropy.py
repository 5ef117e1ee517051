import math

import pytest
import torch

from conescope import measures, topology

LINE = torch.tensor([[0.0], [7], [1], [3]], dtype=torch.float64)  # bars 1, 2, 4


def test_line_by_hand():
    assert measures.persistent_entropy(LINE).item() == pytest.approx(0.955700, abs=1e-6)
    assert measures.relative_persistent_entropy(LINE).item() == pytest.approx(0.869916, abs=1e-6)


def test_unit_square_has_equal_bars():
    square = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    assert measures.persistent_entropy(square).item() == pytest.approx(math.log(3))
    assert measures.relative_persistent_entropy(square).item() == pytest.approx(1)


def test_repeated_points_count_in_the_relative_form_alone():
    repeated = torch.cat([LINE, LINE[:2]])  # bars 0, 0, 1, 2, 4
    assert measures.persistent_entropy(repeated).item() == pytest.approx(0.955700, abs=1e-6)
    relative = measures.relative_persistent_entropy(repeated).item()
    assert relative == pytest.approx(0.955700 / math.log(5), abs=1e-6)


def test_is_the_entropy_of_the_barcode_in_topology():
    points = torch.randn(30, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    lengths = topology.h0_lengths(points)
    torch.testing.assert_close(measures.persistent_entropy(points), topology.persistent_entropy(lengths))


def test_half_precision_keeps_the_digits_of_the_lengths():
    points = torch.randn(200, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    exact = measures.persistent_entropy(points.double())
    assert measures.persistent_entropy(points) == exact.bfloat16()


def test_coincident_points_score_zero():
    same = torch.full((5, 3), 0.1)
    assert measures.persistent_entropy(same) == measures.relative_persistent_entropy(same) == 0


@pytest.mark.parametrize(("n", "undefined"), [(0, True), (1, True), (2, False)])
def test_without_a_bar_it_is_nan(n, undefined):
    points = torch.arange(float(n))[:, None]
    assert bool(measures.persistent_entropy(points).isnan()) == undefined
    assert measures.relative_persistent_entropy(points).isnan()
