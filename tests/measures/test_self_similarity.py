import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import mean_cosine, self_similarity, self_similarity_adjusted
from conescope.measures.self_similarity import (
    self_similarity_adjusted_from_moments,
    self_similarity_from_moments,
)
from conescope.scale.moments import merge, moments
from tests.reference import self_similarity as reference

ROOT = math.sqrt(0.5)


def normal(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_value_by_hand():
    points = torch.tensor([[1.0, 0], [1, 1], [0, 2], [0, 3], [-1, 0]], dtype=torch.float64)
    labels = torch.tensor([4, 4, 4, 9, 9])
    # type 4 has cosines sqrt(1/2), 0, sqrt(1/2); type 9 has 0
    assert self_similarity(points, labels).item() == pytest.approx((2 * ROOT / 3 + 0) / 2, rel=1e-14)


def test_types_count_once_however_often_they_occur():
    points = torch.tensor([[1.0, 0], [1, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, -1]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 0, 0, 0, 1, 1])
    assert self_similarity(points, labels).item() == 0  # (1 - 1) / 2, where pairs would give (10 - 1) / 11


def test_adjusted_by_hand():
    points = torch.tensor([[1.0, 0], [2, 0], [0, 2], [0, 3]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1])
    # self-similarity 1; of six pairs two have cosine 1 and four 0
    assert self_similarity_adjusted(points, labels).item() == pytest.approx(2 / 3, rel=1e-15)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 14), st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**31))
def test_matches_the_loop_over_pairs(n, d, types, seed):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(n, d, dtype=torch.float64, generator=generator) + 0.5
    points[n // 2] = 0 if n > 2 else points[n // 2]
    labels = torch.randint(-types, types, (n,), generator=generator)
    rows, classes = points.tolist(), labels.tolist()
    found = [self_similarity(points, labels).item(), self_similarity_adjusted(points, labels).item()]
    expected = [reference.self_similarity(rows, classes), reference.self_similarity_adjusted(rows, classes)]
    assert found == pytest.approx(expected, abs=1e-11, nan_ok=True)


def test_one_label_for_all_is_the_mean_cosine():
    points, labels = normal(9, 4) + 1, torch.full((9,), 3)
    torch.testing.assert_close(self_similarity(points, labels), mean_cosine(points))
    assert self_similarity_adjusted(points, labels).item() == pytest.approx(0, abs=1e-15)


def test_ends_of_the_range():
    points, labels = normal(4, 3).repeat_interleave(2, dim=0), torch.arange(8) // 2
    assert self_similarity(points, labels).item() == pytest.approx(1)
    points[1::2] *= -2
    assert self_similarity(points, labels).item() == pytest.approx(-1)


def test_the_greatest_adjusted_value():
    points = torch.tensor([[1.0], [1.0], [-1.0]])  # the pair 1, and all three pairs (1 - 1 - 1) / 3
    assert self_similarity_adjusted(points, torch.tensor([0, 0, 1])).item() == pytest.approx(4 / 3)


def test_zero_vectors_are_left_out_and_get_no_gradient():
    points = torch.tensor([[1.0, 0], [0, 0], [1, 1], [0, 0], [0, 2]], dtype=torch.float64).requires_grad_()
    labels = torch.tensor([0, 0, 0, 1, 1])  # label 1 is left with one direction
    value = self_similarity(points, labels)
    value.backward()
    assert value.item() == pytest.approx(ROOT, rel=1e-14)
    assert (points.grad[[1, 3, 4]] == 0).all()
    assert (points.grad[[0, 2]] != 0).any()


def test_rows_of_very_different_length_count_alike():
    points = torch.tensor([[1e-180, 0], [1, 1], [0, 2e100]], dtype=torch.float64)
    assert self_similarity(points, torch.zeros(3, dtype=torch.int64)).item() == pytest.approx(2 * ROOT / 3)


@pytest.mark.parametrize("function", [self_similarity, self_similarity_adjusted])
def test_gradient(function):
    points, labels = (normal(7, 3) + 0.5).requires_grad_(), torch.tensor([0, 5, 5, 0, 2, 0, 2])
    assert torch.autograd.gradcheck(lambda x: function(x, labels), points)


def test_finish_of_merged_moments_is_the_function():
    points, labels = normal(30, 4) + 0.3, torch.arange(30) % 7
    first = moments(points[:11], labels[:11], order=1)
    parts = merge(first, moments(points[11:], labels[11:], classes=9, order=1))  # two classes without points
    torch.testing.assert_close(self_similarity_from_moments(parts), self_similarity(points, labels))
    torch.testing.assert_close(
        self_similarity_adjusted_from_moments(parts), self_similarity_adjusted(points, labels)
    )


def test_moments_without_classes_are_refused():
    with pytest.raises(ValueError, match="scan with labels"):
        self_similarity_from_moments(moments(normal(3, 2)))


@pytest.mark.parametrize("function", [self_similarity, self_similarity_adjusted])
def test_without_a_pair_it_is_nan(function):
    assert function(torch.ones(3, 2), torch.arange(3)).isnan()
    assert function(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)).isnan()
    assert function(torch.ones(1, 2), torch.tensor([0])).isnan()
    assert function(torch.ones(0, 2), torch.zeros(0, dtype=torch.int64)).isnan()


@pytest.mark.usefixtures("without_shape_checks")
def test_labels_are_one_integer_a_point():
    with pytest.raises(ValueError, match="one entry a point"):
        self_similarity(torch.ones(3, 2), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(TypeError, match="labels must be integers"):
        self_similarity(torch.ones(3, 2), torch.zeros(3))
