import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import intra_text_similarity, intra_text_similarity_adjusted
from conescope.measures.intra_text_similarity import (
    intra_text_similarity_adjusted_from_moments,
    intra_text_similarity_from_moments,
)
from conescope.scale.moments import merge, moments
from tests.reference import intra_text_similarity as reference

ROOT = math.sqrt(0.5)


def normal(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_value_by_hand():
    points = torch.tensor([[3.0, 0], [0, 4], [0, 5], [0, 1]], dtype=torch.float64)
    # text 2: mean (1.5, 2), cosines 3/5 and 4/5; text 8: both cosines 1
    found = intra_text_similarity(points, torch.tensor([2, 2, 8, 8]))
    assert found.item() == pytest.approx((0.7 + 1) / 2, rel=1e-15)


def test_adjusted_by_hand():
    points = torch.tensor([[3.0, 0], [0, 4], [0, 5], [0, 1]], dtype=torch.float64)
    # of six pairs three have cosine 1 and three 0
    found = intra_text_similarity_adjusted(points, torch.tensor([2, 2, 8, 8]))
    assert found.item() == pytest.approx(0.85 - 0.5, rel=1e-14)


def test_texts_count_once_however_long_they_are():
    points = torch.tensor([[1.0, 0], [1, 0], [1, 0], [1, 0], [1, 0], [0, 1], [1, 0]], dtype=torch.float64)
    found = intra_text_similarity(points, torch.tensor([0, 0, 0, 0, 0, 1, 1]))
    assert found.item() == pytest.approx((1 + ROOT) / 2)  # words would give (5 + 2 ROOT) / 7


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 14), st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**31))
def test_matches_the_loop_over_texts(n, d, texts, seed):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(n, d, dtype=torch.float64, generator=generator) + 0.5
    points[n // 2] = 0 if n > 2 else points[n // 2]
    labels = torch.randint(-texts, texts, (n,), generator=generator)
    rows, classes = points.tolist(), labels.tolist()
    found = [
        intra_text_similarity(points, labels).item(),
        intra_text_similarity_adjusted(points, labels).item(),
    ]
    expected = [
        reference.intra_text_similarity(rows, classes),
        reference.intra_text_similarity_adjusted(rows, classes),
    ]
    assert found == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("words", [1, 2, 5])
def test_unrelated_words_of_equal_length_read_one_over_the_root_of_their_number(words):
    points, labels = torch.eye(3 * words), torch.arange(3 * words) // words
    assert intra_text_similarity(points, labels).item() == pytest.approx(words**-0.5)


def test_a_long_word_pulls_the_mean_away_from_the_others():
    points = torch.tensor([[100.0], [-1.0], [-1.0], [-1.0]])  # the mean is positive: (1 - 3) / 4
    assert intra_text_similarity(points, torch.zeros(4, dtype=torch.int64)).item() == -0.5


def test_a_text_whose_mean_is_zero_is_left_out():
    points = torch.tensor([[0.1, 0.7], [0.2, -1.3], [-0.3, 0.6], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 0, 1, 1])  # the mean of text 0 is a rounding error
    assert intra_text_similarity(points, labels).item() == pytest.approx(ROOT)
    points.requires_grad_()
    intra_text_similarity(points, labels).backward()
    assert (points.grad[:3] == 0).all()
    assert intra_text_similarity(points[:3], labels[:3]).isnan()


def test_a_zero_vector_is_in_the_mean_only_and_its_gradient_is_that_of_the_mean():
    points = torch.tensor([[3.0, 0], [0, 4], [0, 0]], dtype=torch.float64, requires_grad=True)
    value = intra_text_similarity(points, torch.zeros(3, dtype=torch.int64))
    value.backward()
    assert value.item() == pytest.approx(0.7)
    # d/dm of (1, 1) . m / (2 |m|) at m = (1, 4/3), a third of it for each word
    m, s = torch.tensor([1.0, 4 / 3], dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    slope = (s / m.norm() - m * (s @ m) / m.norm() ** 3) / 2 / 3
    torch.testing.assert_close(points.grad[2], slope)


@pytest.mark.parametrize("function", [intra_text_similarity, intra_text_similarity_adjusted])
def test_gradient(function):
    points, labels = (normal(7, 3) + 0.5).requires_grad_(), torch.tensor([0, 5, 5, 0, 2, 0, 2])
    assert torch.autograd.gradcheck(lambda x: function(x, labels), points)


def test_finish_of_merged_moments_is_the_function():
    points, labels = normal(30, 4) + 0.3, torch.arange(30) % 7
    points[3] = 0
    first = moments(points[:11], labels[:11], order=1)
    parts = merge(first, moments(points[11:], labels[11:], classes=9, order=1))  # two classes without points
    torch.testing.assert_close(
        intra_text_similarity_from_moments(parts), intra_text_similarity(points, labels)
    )
    torch.testing.assert_close(
        intra_text_similarity_adjusted_from_moments(parts), intra_text_similarity_adjusted(points, labels)
    )


def test_moments_without_classes_are_refused():
    with pytest.raises(ValueError, match="scan with labels"):
        intra_text_similarity_from_moments(moments(normal(3, 2)))


@pytest.mark.parametrize("function", [intra_text_similarity, intra_text_similarity_adjusted])
def test_without_a_direction_it_is_nan(function):
    assert function(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)).isnan()
    assert function(torch.ones(0, 2), torch.zeros(0, dtype=torch.int64)).isnan()


def test_one_point():
    assert intra_text_similarity(torch.ones(1, 2), torch.tensor([4])).item() == pytest.approx(1)
    assert intra_text_similarity_adjusted(torch.ones(1, 2), torch.tensor([4])).isnan()


@pytest.mark.usefixtures("without_shape_checks")
def test_labels_are_one_integer_a_point():
    with pytest.raises(ValueError, match="one entry a point"):
        intra_text_similarity(torch.ones(3, 2), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(TypeError, match="labels must be integers"):
        intra_text_similarity(torch.ones(3, 2), torch.zeros(3))
