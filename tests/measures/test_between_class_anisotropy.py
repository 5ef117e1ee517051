import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import between_class_anisotropy, within_class_anisotropy
from conescope.measures.between_class_anisotropy import between_class_anisotropy_from_moments
from conescope.scale.moments import moments
from tests.reference import between_class_anisotropy as reference

# means (2, 0), (-2, 0), (0, 3), of 1, 1 and 2 points
POINTS = torch.tensor([[2.0, 0], [-2, 0], [1, 3], [-1, 3]], dtype=torch.float64)
LABELS = torch.tensor([5, -3, 8, 8])


def test_by_hand():
    # the mean is (0, 1.5): scatter 4 + 4 along x; 2.25 + 2.25 + 2 * 2.25 = 9 along y
    assert between_class_anisotropy(POINTS, LABELS).item() == pytest.approx(9 / 17)
    assert between_class_anisotropy(POINTS, LABELS, k=2).item() == pytest.approx(1)


@settings(max_examples=25, deadline=None)
@given(st.integers(5, 20), st.integers(1, 20), st.integers(1, 3), st.integers(0, 2**31))
def test_matches_points_replaced_by_their_class_means(n, d, k, seed):
    rng = np.random.default_rng(seed)
    labels = np.append(rng.integers(-2, 3, n - 2), [9, 10])
    array = rng.normal(size=(n, d)) * rng.uniform(0.01, 3, d) + rng.normal(size=d)
    points, classes = torch.from_numpy(array), torch.from_numpy(labels)
    expected = reference.between_class_anisotropy(array, labels, k)
    assert between_class_anisotropy(points, classes, k=k).item() == pytest.approx(expected)
    numbered = torch.unique(classes, return_inverse=True)[1] * 2  # odd numbers are classes without a point
    found = between_class_anisotropy_from_moments(moments(points, numbered, classes=99, order=1), k=k)
    assert found.item() == pytest.approx(expected)


def test_two_classes_lie_on_a_line():
    points = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    assert between_class_anisotropy(points, torch.arange(30) % 2).item() == pytest.approx(1)


def test_spread_within_classes_does_not_count():
    axes = torch.eye(4, dtype=torch.float64)
    labels = torch.arange(4).repeat(2)
    noise = 9 * torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    points = torch.cat([axes + noise, axes - noise])
    assert between_class_anisotropy(points, labels).item() == pytest.approx(1 / 3)
    assert within_class_anisotropy(points, labels).item() > 0.35


@pytest.mark.parametrize("offset", [0.0, 0.1, 1e6])
def test_class_means_that_coincide_are_undefined(offset):
    a, b = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + offset
    points, labels = torch.cat([a, b, b, a]), torch.arange(2).repeat_interleave(10)
    assert between_class_anisotropy(points, labels).isnan()
    assert between_class_anisotropy_from_moments(moments(points, labels)).isnan()


def test_too_few_classes_or_points_are_undefined():
    assert between_class_anisotropy(POINTS, torch.zeros(4, dtype=torch.int64)).isnan()
    for n, undefined in [(0, True), (1, True), (2, False)]:
        points = torch.arange(2.0 * n).reshape(n, 2)
        assert bool(between_class_anisotropy(points, torch.arange(n)).isnan()) == undefined
    assert between_class_anisotropy(torch.full((6, 3), 0.1), torch.arange(6)).isnan()


def test_far_from_the_origin_it_keeps_its_digits():
    moved = between_class_anisotropy(POINTS + 1e9, LABELS)
    assert moved.item() == pytest.approx(9 / 17, rel=1e-12)


def test_gradient():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(9, 4, dtype=torch.float64, generator=generator).requires_grad_()
    labels = torch.arange(9) % 4
    assert torch.autograd.gradcheck(lambda x: between_class_anisotropy(x, labels, k=2), points)


def test_moments_without_labels_are_refused():
    with pytest.raises(ValueError, match="scan with labels"):
        between_class_anisotropy_from_moments(moments(POINTS))


def test_wrong_labels_are_refused(without_shape_checks):
    with pytest.raises(ValueError, match=r"expected shape \(4,\), got \(3,\)"):
        between_class_anisotropy(POINTS, LABELS[:3])
