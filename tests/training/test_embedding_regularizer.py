"""The adapter in losses of pytorch-metric-learning."""

import pytest
import torch

from conescope.losses import Balanced, KoLeoLoss, Layers, UniformityLoss
from tests.survey.clouds import cloud

pml = pytest.importorskip("pytorch_metric_learning.losses")
from conescope.training import EmbeddingRegularizer  # noqa: E402


def gradient(function, points):
    points = points.clone().requires_grad_()
    value = function(points)
    value.backward()
    return value.detach(), points.grad


def test_loss_and_gradient_are_the_sum_with_the_weight():
    points, labels = cloud(24, 6), torch.arange(24) % 4
    plain = pml.TripletMarginLoss()
    loss = pml.TripletMarginLoss(
        embedding_regularizer=EmbeddingRegularizer(UniformityLoss()), embedding_reg_weight=0.2
    )
    found = gradient(lambda rows: loss(rows, labels), points)
    expected = gradient(lambda rows: plain(rows, labels) + 0.2 * UniformityLoss()(rows), points)
    torch.testing.assert_close(found, expected)
    assert "embedding_reg_loss" in loss.sub_loss_names()
    assert found[0] != plain(points, labels)


def test_class_vectors_are_regularized_too():
    torch.manual_seed(0)
    loss = pml.NormalizedSoftmaxLoss(
        num_classes=5, embedding_size=6, weight_regularizer=EmbeddingRegularizer(KoLeoLoss())
    )
    points, labels = cloud(20, 6), torch.arange(20) % 5
    found = loss(points, labels)
    loss.weight_regularizer = None
    torch.testing.assert_close(found, loss(points, labels) + KoLeoLoss()(loss.W.t()))


def test_several_layers_and_told_gradients_are_refused():
    for wrong in (Layers({-1: KoLeoLoss()}), Balanced(KoLeoLoss())):
        with pytest.raises(ValueError, match="take the loss inside"):
            EmbeddingRegularizer(wrong)
