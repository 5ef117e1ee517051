import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.losses import UniformityLoss, uniformity_loss
from conescope.measures import uniformity
from tests.reference.losses_uniformity import uniformity_loss as reference

CROSS = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)


def test_values_by_hand():
    # four pairs at squared distance 2 and two at 4: ln((4 e^-4 + 2 e^-8) / 6)
    assert uniformity_loss(CROSS).item() == pytest.approx(-4.396349, abs=1e-6)
    assert uniformity_loss(torch.eye(5) - 0.2, t=1.5).item() == pytest.approx(-2 * 1.5 * 5 / 4)  # a simplex
    assert uniformity_loss(CROSS[:2], t=0.7).item() == pytest.approx(-4 * 0.7)  # the least there can be


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 12), st.floats(0.1, 20))
def test_matches_the_pairs_and_the_measure(seed, count, t):
    points = np.random.default_rng(seed).normal(0.3, size=(count, 4))
    found = uniformity_loss(torch.from_numpy(points), t=t)
    assert found.item() == pytest.approx(reference(points, t), abs=1e-11)
    torch.testing.assert_close(found, uniformity(torch.from_numpy(points), t=t))
    assert -2 * t * count / (count - 1) - 1e-11 <= found <= 1e-11


def test_a_sharp_potential_does_not_underflow():
    # e^-4000 is 0 in any precision; of the 6 pairs the 4 near ones count, each with e^(-2 t)
    found = uniformity_loss(CROSS, t=1000.0).item()
    assert found == pytest.approx(-2000 + math.log(4 / 6))


def test_lengths_do_not_matter_and_zero_vectors_are_left_out():
    stretched = CROSS * torch.tensor([[1e-9], [1.0], [3.0], [1e9]])
    torch.testing.assert_close(uniformity_loss(stretched), uniformity_loss(CROSS))
    with_zeros = torch.cat([torch.zeros(2, 2), CROSS, torch.zeros(3, 2)]).requires_grad_()
    found = uniformity_loss(with_zeros)
    found.backward()
    torch.testing.assert_close(found.detach(), uniformity_loss(CROSS))
    assert with_zeros.grad[[0, 1, 6, 7, 8]].eq(0).all()
    assert uniformity_loss(with_zeros[:3]) == 0  # one direction has no pair


def test_near_pairs_repel_most():
    angles = torch.tensor([0.0, 0.2, 2.5], dtype=torch.float64)
    points = torch.stack([angles.cos(), angles.sin()], dim=1).requires_grad_()
    uniformity_loss(points).backward()
    step = points.detach() - 1e-4 * points.grad
    moved = torch.atan2(step[:, 1], step[:, 0]) - angles
    assert moved[0] < 0 < moved[1]  # the near two go apart
    assert moved[:2].abs().min() > 10 * moved[2].abs()


def test_a_narrow_cone_is_opened_also_in_float32():
    noise = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    points = (torch.ones(8) + 1e-3 * noise).requires_grad_()
    loss = UniformityLoss()
    start = loss(points).item()
    for _ in range(300):
        (gradient,) = torch.autograd.grad(loss(points), points)
        points = (points - 4 * gradient).detach().requires_grad_()
    assert start > -1e-3
    assert loss(points) < -3.9  # 16 points on the sphere of R^8 come near the simplex, -4.27


@pytest.mark.parametrize("t", [0.0, -1.0, math.inf, math.nan])
def test_a_sharpness_that_is_not_positive_is_refused(t):
    with pytest.raises(ValueError, match="t is the sharpness"):
        uniformity_loss(CROSS, t=t)
    with pytest.raises(ValueError, match="t is the sharpness"):
        UniformityLoss(t=t)
