import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import class_separation
from conescope.measures.class_separation import class_separation_from_moments
from conescope.scale.moments import moments
from tests.reference import class_separation as reference

POINTS = torch.tensor([[1.0, 0], [2, 0], [0, 1], [1, 0]], dtype=torch.float64)
LABELS = torch.tensor([7, 7, -1, -1])


def test_by_hand():
    # distances: within 7: none; within -1: 2 of 4 pairs, mean 1/2; between: 2 of 4, mean 1/2
    # within 1/2 (0 + 1/2) = 1/4; overall 1/4 (0 + 1/2 + 2 * 1/2) = 3/8; R^2 = 1 - 2/3
    assert class_separation(POINTS, LABELS).item() == pytest.approx(1 / 3)


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 12), st.integers(2, 6), st.integers(0, 2**31))
def test_matches_a_loop_over_all_pairs(n, d, seed):
    rng = np.random.default_rng(seed)
    labels = np.append(rng.integers(-2, 2, n - 2), [9, 10])
    array = rng.normal(size=(n, d)) + rng.normal(size=d)
    expected = reference.class_separation(array.tolist(), labels.tolist())
    points, classes = torch.from_numpy(array), torch.from_numpy(labels)
    assert class_separation(points, classes).item() == pytest.approx(expected, abs=1e-12)
    numbered = torch.unique(classes, return_inverse=True)[1] * 2  # odd numbers are classes without a point
    found = class_separation_from_moments(moments(points, numbered, order=1))
    assert found.item() == pytest.approx(expected, abs=1e-12)


def test_one_direction_a_class_is_1_and_the_same_mix_in_each_is_0():
    axes = torch.eye(3, dtype=torch.float64)
    labels = torch.arange(3).repeat(2)
    assert class_separation(torch.cat([axes, 5 * axes]), labels).item() == pytest.approx(1)
    mixed = axes.repeat(3, 1)
    assert class_separation(mixed, torch.arange(3).repeat_interleave(3)).item() == pytest.approx(0, abs=1e-15)


def test_classes_have_equal_weight():
    # u_0 = (1, 0) from nine points, u_1 = (0, 1) from two that differ by 90 degrees around it
    tilt = math.sqrt(0.5)
    points = torch.tensor([[1.0, 0]] * 9 + [[tilt, tilt], [-tilt, tilt]], dtype=torch.float64)
    # u_1 = (0, tilt): B = |u_0 - u_1|^2 / 4 = 1.5 / 4, W = (0 + 1/2) / 2
    found = class_separation(points, torch.tensor([0] * 9 + [1] * 2)).item()
    assert found == pytest.approx(0.375 / 0.625)


def test_zero_vectors_are_left_out():
    zeros = torch.zeros(3, 2, dtype=torch.float64)
    points = torch.cat([zeros[:1], POINTS, zeros])
    labels = torch.cat([torch.tensor([7]), LABELS, torch.tensor([-1, 3, 3])])
    assert class_separation(points, labels).item() == pytest.approx(1 / 3)
    numbered = torch.unique(labels, return_inverse=True)[1]
    assert class_separation_from_moments(moments(points, numbered)).item() == pytest.approx(1 / 3)


def test_one_class_or_one_direction_is_undefined():
    ray = torch.tensor([0.1, 0.7, 0.3]) * torch.arange(1, 9)[:, None]
    for n in (0, 1, 8):
        assert class_separation(ray[:n], torch.arange(n)).isnan()
    assert class_separation_from_moments(moments(ray, torch.arange(8))).isnan()
    assert class_separation(POINTS, torch.zeros(4, dtype=torch.int64)).isnan()
    assert class_separation(torch.zeros(4, 3), torch.arange(4)).isnan()
    cone = torch.tensor([[1e4, 1.0], [1e4, -1.0]], dtype=torch.float64)  # cosine distance 2e-8 is told
    assert class_separation(cone, torch.arange(2)).item() == pytest.approx(1, abs=1e-6)


def test_gradient():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(8, 3, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: class_separation(x, torch.arange(8) % 3), points)


def test_wrong_labels_are_refused(without_shape_checks):
    with pytest.raises(ValueError, match=r"expected shape \(4,\), got \(3,\)"):
        class_separation(POINTS, LABELS[:3])
    with pytest.raises(ValueError, match="scan with labels"):
        class_separation_from_moments(moments(POINTS))
