import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.losses.koleo import DINOV2_WEIGHT, KoLeoLoss, koleo_loss
from tests.reference import losses_koleo as reference

CROSS = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]


def cloud(count, dim, seed=0, dtype=torch.float64):
    return torch.randn(count, dim, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def test_value_by_hand():
    # every nearest neighbor is a quarter turn away, at sqrt(2): - ln(2) / 2
    assert koleo_loss(torch.tensor(CROSS)).item() == pytest.approx(-0.346574, abs=1e-6)
    # lengths do not count, unless they are to: then the distances 1, 1, 2 give - ln(2) / 3
    line = torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 4.0]], dtype=torch.float64)
    assert koleo_loss(line, normalize=False).item() == pytest.approx(-math.log(2) / 3, abs=1e-7)
    assert koleo_loss(line).item() == pytest.approx(-math.log(1e-8))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 30), st.integers(1, 20), st.booleans())
def test_matches_the_definition(seed, n, d, normalize):
    points = np.random.default_rng(seed).normal(size=(n, d))
    found = koleo_loss(torch.from_numpy(points), normalize=normalize).item()
    if d == 1 and normalize:  # copies, whose distances the rounding of the reference makes too
        assert -math.log(2 + 1e-8) - 1e-12 <= found <= -math.log(1e-8) + 1e-12
    else:
        assert found == pytest.approx(reference.koleo(points, normalize), rel=1e-9, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 20), st.integers(2, 8))
def test_bounds_rotation_and_scaling(seed, n, d):
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(rng.normal(size=(n, d)))
    loss = koleo_loss(points)
    assert -math.log(2 + 1e-8) - 1e-12 <= loss <= -math.log(1e-8)
    rotation = torch.from_numpy(np.linalg.qr(rng.normal(size=(d, d)))[0])
    lengths = torch.from_numpy(rng.uniform(0.1, 10, size=(n, 1)))
    torch.testing.assert_close(koleo_loss(lengths * points @ rotation), loss)


def test_distances_are_right_in_a_narrow_cone():
    points = torch.cat([torch.ones(40, 1), 1e-5 * cloud(40, 12, dtype=torch.float32)], dim=1)
    expected = reference.koleo(points.double().numpy())
    assert koleo_loss(points).item() == pytest.approx(expected, abs=0.01)  # float32 rounds directions to 6e-8


@pytest.mark.parametrize("normalize", [True, False])
def test_gradient(normalize):
    points = cloud(9, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: koleo_loss(p, normalize=normalize), points)


def test_a_collapse_is_finite_and_the_least_difference_opens_it():
    points = torch.ones(6, 3, requires_grad=True)
    loss = koleo_loss(points)
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(1e-8))
    assert points.grad.eq(0).all()
    nearly = (torch.ones(6, 3) + 1e-3 * cloud(6, 3, dtype=torch.float32)).requires_grad_()
    before = koleo_loss(nearly, eps=1e-3)
    before.backward()
    step = 1e-4 * nearly.grad / nearly.grad.norm()
    assert koleo_loss(nearly.detach() - step, eps=1e-3) < before - 1e-3


def test_copies_in_a_batch_do_not_spoil_it():
    points = torch.cat([cloud(5, 3), cloud(2, 3)]).requires_grad_()  # the first two twice
    loss = koleo_loss(points)
    loss.backward()
    assert loss.item() == pytest.approx(reference.koleo(points.detach().numpy()))
    assert points.grad.isfinite().all()
    assert points.grad[2:5].abs().amax(dim=1).gt(0).all()


def test_zero_vectors_are_left_out():
    points = torch.cat([cloud(3, 4), torch.zeros(2, 4), cloud(4, 4, seed=1)]).requires_grad_()
    loss = koleo_loss(points)
    loss.backward()
    torch.testing.assert_close(loss, koleo_loss(points[[0, 1, 2, 5, 6, 7, 8]]))
    assert points.grad[3:5].eq(0).all()


@pytest.mark.parametrize(
    "points", [torch.zeros(0, 3), torch.ones(1, 3), torch.zeros(4, 3), torch.eye(3)[:2] * torch.eye(2)[:, :1]]
)
def test_fewer_than_two_directions_give_zero_and_no_gradient(points):
    points = points.clone().requires_grad_()
    loss = koleo_loss(points)
    loss.backward()
    assert loss == 0
    assert points.grad.eq(0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_point_that_is_not_finite_makes_the_loss_nan(bad, normalize):
    points = cloud(8, 3)
    points[4, 1] = bad
    assert koleo_loss(points, normalize=normalize).isnan()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_is_computed_in_float32_under_autocast(dtype):
    points = cloud(24, 8).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = koleo_loss(points)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(koleo_loss(points.double()).item(), rel=1e-5)


def test_module_equals_function():
    points, labels = cloud(12, 4), torch.arange(12) % 3
    module = KoLeoLoss(weight=DINOV2_WEIGHT, normalize=False, eps=1e-3)
    torch.testing.assert_close(module(points, labels), 0.1 * koleo_loss(points, normalize=False, eps=1e-3))
    assert repr(module) == "KoLeoLoss(weight=0.1, normalize=False, eps=0.001)"


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match=r"eps .* must be positive, got 0"):
        koleo_loss(cloud(4, 2), eps=0.0)
    with pytest.raises(ValueError, match="weight must be finite"):
        KoLeoLoss(weight=math.nan)
