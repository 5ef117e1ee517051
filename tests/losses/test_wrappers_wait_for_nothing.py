"""On an accelerator no wrapper waits for the device, apart from those that say so."""

import pytest
import torch

from conescope.losses import Balanced, Gathered, Layers, OnSphere, Remembered, Scheduled

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def spread(points, labels=None):
    return -(points - points.mean(0)).square().sum(1).mean()


def run(loss, points):
    """Call forward, backward and, where it is asked for, `observe`."""
    value = loss(points)
    (gradient,) = torch.autograd.grad(value, list(points.values()) if isinstance(points, dict) else [points])
    if getattr(loss, "observe_every", 0):
        loss.observe(gradient.norm(), gradient.norm())
    return value


@pytest.mark.parametrize(
    "make",
    [
        lambda: OnSphere(spread),
        lambda: Gathered(spread),
        lambda: Remembered(spread, size=100),
        lambda: Balanced(spread),
        lambda: Scheduled(spread, ("warmup", 5)),
        lambda: Scheduled(Balanced(Layers({-1: Remembered(OnSphere(spread), size=100)})), ("cosine", 9)),
    ],
)
def test_no_wait(make):
    loss, layered = make(), make()
    points = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    on_device = points.cuda().requires_grad_()
    named = getattr(loss, "layers", None) is not None
    run(loss, {-1: on_device} if named else on_device)  # buffers move to the device
    run(layered, {-1: points.requires_grad_()} if named else points.requires_grad_())
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = [run(loss, {-1: on_device} if named else on_device) for _ in range(3)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = [run(layered, {-1: points} if named else points) for _ in range(3)]
    torch.testing.assert_close(torch.stack(found).cpu(), torch.stack(expected), rtol=1e-4, atol=1e-6)
