"""No loss needs the contents of its points on the host, so none waits for an accelerator."""

from contextlib import nullcontext

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from conescope import losses


def labels_of(points):
    return torch.arange(len(points), device=points.device) // 2


LOSSES = {
    "persistent_entropy": lambda points: losses.persistent_entropy_loss(points).loss,
    "persistent_entropy of labels on the host": lambda points: (
        losses.persistent_entropy_loss(points, torch.arange(len(points)) % 2).loss
    ),
    "persistent_entropy of labels": lambda points: (
        losses.persistent_entropy_loss(points, labels_of(points), min_points=2).loss
    ),
    "persistent_entropy of classes of a size": lambda points: losses.PerClass(
        losses.PersistentEntropyLoss(min_points=2), min_points=2, size=2
    )(points, labels_of(points)),
    "koleo of classes of a size": lambda points: losses.PerClass(losses.KoLeoLoss(), min_points=2, size=2)(
        points, labels_of(points)
    ),
    "koleo": losses.koleo_loss,
    "variance_covariance": losses.variance_covariance_loss,
    "cross_correlation": lambda points: losses.cross_correlation_loss(
        points, partners=points.detach().flip(0)
    ),
    "sliced_gaussian": losses.sliced_gaussian_loss,
    "topological": lambda points: losses.topological_loss(
        points, reference=points.detach() ** 2, scale="means"
    ),
}
ASKED_ON_A_CPU = (
    "koleo",
    "koleo of classes of a size",
    "topological",
    "persistent_entropy",
    "persistent_entropy of labels",
    "persistent_entropy of labels on the host",
    "persistent_entropy of classes of a size",
)  # where a look costs nothing, the size of the lengths is looked at


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in ASKED_ON_A_CPU])
@pytest.mark.parametrize("shape", [(8, 5), (5, 8)])
def test_no_contents_are_needed(name, shape):
    with FakeTensorMode():  # of shapes without contents
        points = torch.randn(shape, requires_grad=True)
        loss = LOSSES[name](points)
        loss.backward()
        with pytest.raises(Exception, match="_local_scalar_dense"):
            loss.item()  # asking for contents is an error here
    assert points.grad.shape == shape


@pytest.mark.parametrize("name", ASKED_ON_A_CPU)
def test_no_contents_are_needed_on_an_accelerator(monkeypatch, name):
    """The device `meta` has shapes and no contents, is no CPU, and unknown to autocast."""
    monkeypatch.setattr(torch, "autocast", lambda *settings, **more: nullcontext())
    points = torch.randn(12, 5, device="meta", requires_grad=True)
    loss = LOSSES[name](points)
    loss.backward()
    assert points.grad.shape == (12, 5)
    with pytest.raises(Exception, match="meta"):
        loss.item()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", [*LOSSES, "cross_correlation of labels"])
def test_nothing_waits_on_cuda(name):
    points = torch.randn(32, 16, device="cuda", requires_grad=True)
    labels = labels_of(points)
    loss = LOSSES.get(name, lambda points: losses.cross_correlation_loss(points, labels))
    loss(points).backward()  # what is set up once may wait
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss(points).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = loss(points.detach().cpu()) if name in LOSSES and name != "sliced_gaussian" else None
    if expected is not None:
        torch.testing.assert_close(loss(points).detach().cpu(), expected, rtol=1e-4, atol=1e-5)
