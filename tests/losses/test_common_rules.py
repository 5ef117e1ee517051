"""What holds for each loss of directions and spectra, whatever its formula: the values are in their files."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from conescope import losses

REFERENCE = 2.5 * torch.eye(6, dtype=torch.float64)


def pairs(count):
    return torch.arange(count) // 2


# name: (function, module, settings of both, whether labels are needed)
LOSSES = {
    "cosine": (losses.cosine_loss, losses.CosineLoss, {}, False),
    "uniformity": (losses.uniformity_loss, losses.UniformityLoss, {"t": 3.0}, False),
    "alignment": (losses.alignment_loss, losses.AlignmentLoss, {"exponent": 1.5}, True),
    "orthogonal": (losses.orthogonal_loss, losses.OrthogonalLoss, {"mean_weight": 0.5}, False),
    "spectral_entropy": (losses.spectral_entropy_loss, losses.SpectralEntropyLoss, {}, False),
    "spectral_entropy_2": (
        losses.spectral_entropy_loss,
        losses.SpectralEntropyLoss,
        {"order": 2, "center": False},
        False,
    ),
    "iso_score": (
        losses.iso_score_loss,
        losses.IsoScoreLoss,
        {"reference": REFERENCE, "zeta": 0.3, "sign": "anisotropic"},
        False,
    ),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def value(name, points):
    function, _, options, needs_labels = LOSSES[name]
    return function(points, pairs(len(points)) if needs_labels else None, **options)


def cloud(count, dim=6, seed=0, dtype=torch.float64):
    return torch.randn(count, dim, dtype=dtype, generator=torch.Generator().manual_seed(seed)) + 0.5


@every_loss
@pytest.mark.parametrize("count", [5, 9])  # fewer and more points than dimensions
def test_gradient(name, count):
    assert torch.autograd.gradcheck(partial(value, name), cloud(count).requires_grad_())


@every_loss
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_rotation_and_order_change_nothing(name, seed):
    points = cloud(8, seed=seed)
    turn = torch.linalg.qr(cloud(6, seed=seed + 1))[0]
    torch.testing.assert_close(value(name, points @ turn), value(name, points))
    flipped = points.flip(0)  # which keeps pairs together
    torch.testing.assert_close(value(name, flipped), value(name, points))


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_is_computed_in_float32_under_autocast(name, dtype):
    points = cloud(12).to(dtype)
    expected = value(name, points.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        leaf = points.clone().requires_grad_()
        found = value(name, leaf)
    found.backward()
    assert (found.dtype, expected.dtype, leaf.grad.dtype) == (torch.float32, torch.float64, dtype)
    assert found.item() == pytest.approx(expected.item(), rel=3e-6)


@every_loss
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("count", [1, 8, 9])
def test_a_point_that_is_not_finite_makes_loss_and_gradient_nan(name, bad, count):
    points = cloud(count)
    points[-1, 1] = bad
    points.requires_grad_()
    found = value(name, points)
    found.backward()
    assert found.isnan()
    assert count == 1 or points.grad.isnan().any()  # so that a gradient scaler skips the step


@every_loss
@pytest.mark.parametrize("count", [0, 1])
def test_too_few_points_give_zero_and_no_gradient(name, count):
    points = cloud(count).requires_grad_()
    found = value(name, points)
    found.backward()
    assert found == 0
    assert points.grad.eq(0).all()


BAD_PLACES = {
    "collapsed": torch.full((8, 6), 0.1),
    "collapsed at the origin": torch.zeros(8, 6),
    "all but one collapsed": torch.cat([torch.full((7, 6), 0.1), torch.ones(1, 6) * torch.arange(6)]),
    "each point twice": cloud(4, dtype=torch.float32).repeat_interleave(2, dim=0),
    "opposite": torch.cat([torch.eye(6), -torch.eye(6)]),
    "zero vectors among others": torch.cat([cloud(5, dtype=torch.float32), torch.zeros(3, 6)]),
    "one direction left": torch.cat([cloud(1, dtype=torch.float32), torch.zeros(3, 6)]),
    "a line": torch.arange(8.0)[:, None] * torch.ones(6),
    "two points": cloud(2, dtype=torch.float32),
    "tiny": cloud(8, dtype=torch.float32) * 1e-42,
    "huge": cloud(8, dtype=torch.float32) * 1e37,
}


@every_loss
@pytest.mark.parametrize("place", BAD_PLACES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_and_gradient_are_finite_at_bad_places(name, place, dtype):
    points = BAD_PLACES[place].to(dtype, copy=True).requires_grad_()
    found = value(name, points)
    found.backward()
    assert found.isfinite()
    assert points.grad.isfinite().all()


@every_loss
def test_exact_collapse_gets_no_gradient(name):
    points = cloud(1).repeat(7, 1).requires_grad_()  # a mean of seven does round
    value(name, points).backward()
    torch.testing.assert_close(points.grad, torch.zeros_like(points), rtol=0, atol=1e-13)


@every_loss
def test_nothing_waits_for_the_device_or_has_a_shape_that_depends_on_data(name):
    # a fake tensor has no contents: whatever needs them, such as item() or nonzero(), raises
    function, _, options, needs_labels = LOSSES[name]
    with FakeTensorMode() as mode:
        fake = {key: mode.from_tensor(v) if torch.is_tensor(v) else v for key, v in options.items()}
        points = torch.randn(8, 6, dtype=torch.float64, requires_grad=True)
        found = function(points, torch.arange(8) // 2 if needs_labels else None, **fake)
        found.backward()
        with pytest.raises(Exception, match="_local_scalar_dense"):
            found.item()  # the check itself works
    assert points.grad.shape == (8, 6)


@every_loss
def test_module_equals_function_and_shows_its_settings(name):
    _, module, options, needs_labels = LOSSES[name]
    points = cloud(8)
    labels = pairs(8) if needs_labels else None
    made = module(weight=0.3, **options)
    torch.testing.assert_close(made(points, labels), 0.3 * value(name, points))
    shown = {key: option for key, option in options.items() if key != "reference"}
    for key, option in {"weight": 0.3, **shown}.items():
        assert f"{key}={option!r}" in repr(made)


@every_loss
@pytest.mark.parametrize("weight", [math.nan, math.inf])
def test_a_weight_that_is_not_finite_is_refused(name, weight):
    with pytest.raises(ValueError, match="weight must be finite"):
        LOSSES[name][1](weight=weight, **LOSSES[name][2])


@every_loss
@pytest.mark.usefixtures("without_shape_checks")
def test_points_of_the_wrong_kind_are_named(name):
    with pytest.raises(TypeError, match="points must be floating point"):
        value(name, torch.zeros(4, 6, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"points have shape \(n, d\)"):
        value(name, torch.zeros(4, 2, 6))


@every_loss
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_cpu_and_does_not_wait(name):
    function, _, options, needs_labels = LOSSES[name]
    options = {key: v.cuda() if torch.is_tensor(v) else v for key, v in options.items()}
    points = cloud(64).cuda().requires_grad_()
    labels = pairs(64).cuda() if needs_labels else None
    function(points, labels, **options).backward()  # handles and caches are made
    waits = name == "spectral_entropy"  # eigenvalues on CUDA do
    torch.cuda.set_sync_debug_mode("default" if waits else "error")
    try:
        found = function(points, labels, **options)
        found.backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(found.cpu(), value(name, points.detach().cpu()))
