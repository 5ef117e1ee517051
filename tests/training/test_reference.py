"""The reference covariance of I-STAR follows the training data, epoch by epoch."""

from types import SimpleNamespace

import torch

from conescope.losses import IsoScoreLoss, KoLeoLoss, OnSphere
from conescope.training.reference import ReferenceRefresh

POINTS = 3 * torch.randn(30, 4, generator=torch.Generator().manual_seed(0))


def refreshed(loss, *epochs):
    model, seen = torch.nn.Linear(2, 2), []

    def embed(model):
        seen.append(model)
        model.eval()
        return POINTS * len(seen)

    callback = ReferenceRefresh(loss, embed)
    for epoch in epochs:
        callback.on_epoch_begin(None, SimpleNamespace(epoch=epoch), None, model=model)
    assert model.training
    return len(seen)


def test_it_is_the_covariance_of_the_last_epoch():
    loss = IsoScoreLoss()
    assert refreshed(loss, None, 1.0) == 2
    torch.testing.assert_close(loss.reference, 4 * torch.cov(POINTS.T))


def test_within_an_epoch_a_reference_is_kept_and_a_missing_one_made():
    loss = IsoScoreLoss()
    assert refreshed(loss, 0.4, 0.4, 0.6) == 1
    torch.testing.assert_close(loss.reference, torch.cov(POINTS.T))


def test_on_the_sphere_it_is_that_of_the_directions():
    loss = OnSphere(IsoScoreLoss())
    refreshed(loss, 0.0)
    torch.testing.assert_close(loss.loss.reference, torch.cov(torch.nn.functional.normalize(POINTS).T))


def test_a_model_that_diverged_keeps_its_reference():
    loss, clouds = IsoScoreLoss(), [POINTS, POINTS / 0 * 0]
    callback = ReferenceRefresh(loss, lambda model: clouds.pop(0))
    for epoch in (0.0, 1.0):
        callback.on_epoch_begin(None, SimpleNamespace(epoch=epoch), None, model=torch.nn.Linear(2, 2))
    assert not clouds
    torch.testing.assert_close(loss.reference, torch.cov(POINTS.T))


def test_other_losses_cost_nothing():
    assert refreshed(KoLeoLoss(), 0.0) == 0
    assert refreshed(IsoScoreLoss(zeta=0.0), 0.0) == 0
