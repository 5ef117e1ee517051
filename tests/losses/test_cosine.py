import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.losses import CosineLoss, cosine_loss
from conescope.measures import mean_cosine
from tests.reference.losses_cosine import cosine_loss as reference

THREE = torch.tensor(
    [[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]], dtype=torch.float64
)  # cosines sqrt(1/2) twice, and 0


def test_values_by_hand():
    assert cosine_loss(THREE).item() == pytest.approx(math.sqrt(2) / 3)
    assert cosine_loss(THREE, include_self=True).item() == pytest.approx(0.314270, abs=1e-6)  # 2 sqrt(2) / 9
    assert cosine_loss(torch.eye(4) - 1 / 4).item() == pytest.approx(-1 / 3)  # a simplex: the least value


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 12), st.booleans())
def test_matches_the_sum_over_pairs_and_the_measure(seed, count, include_self):
    points = np.random.default_rng(seed).normal(0.3, size=(count, 4))
    found = cosine_loss(torch.from_numpy(points), include_self=include_self)
    assert found.item() == pytest.approx(reference(points, include_self), abs=1e-12)
    bound = 1 if not include_self else (count - 1) / count
    assert -bound / (count - 1) - 1e-12 <= found <= bound
    torch.testing.assert_close(cosine_loss(torch.from_numpy(points)), mean_cosine(torch.from_numpy(points)))


def test_lengths_do_not_matter_and_zero_vectors_are_left_out():
    stretched = THREE * torch.tensor([[1e-9], [1.0], [1e9]])
    torch.testing.assert_close(cosine_loss(stretched), cosine_loss(THREE))
    with_zeros = torch.cat([THREE, torch.zeros(4, 2)])
    for include_self in (False, True):
        torch.testing.assert_close(
            cosine_loss(with_zeros, include_self=include_self), cosine_loss(THREE, include_self=include_self)
        )
    assert cosine_loss(with_zeros[2:]) == 0  # one direction has no pair


def test_gradient_by_hand():
    # d/dx of mean cosine of (1, 0) and (cos a, sin a): at the first point at right angles, -sin a downwards
    points = torch.tensor([[2.0, 0.0], [0.6, 0.8]], dtype=torch.float64, requires_grad=True)
    cosine_loss(points).backward()
    torch.testing.assert_close(points.grad[0], torch.tensor([0.0, 0.4], dtype=torch.float64))  # 0.8 / |x|


def test_a_narrow_cone_is_opened_also_in_float32():
    noise = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    points = (torch.ones(8) + 1e-3 * noise).requires_grad_()
    loss = CosineLoss()
    start = loss(points).item()
    for _ in range(300):
        (gradient,) = torch.autograd.grad(loss(points), points)
        points = (points - 16 * gradient).detach().requires_grad_()
    assert start > 0.99999
    assert loss(points) < 0.05


def test_labels_are_not_used():
    torch.testing.assert_close(cosine_loss(THREE, torch.tensor([0, 1, 1])), cosine_loss(THREE))
