import pytest
import torch

from conescope.losses import Balanced, Layers, OnSphere, PersistentEntropyLoss


def square(points, labels=None):
    return points.square().sum()


def mean(points, labels=None):
    return points.mean()


def test_value_by_hand_and_one_value_a_layer():
    module = Layers({-1: square, 3: mean})
    points = {3: torch.tensor([[1.0, 2.0, 6.0]]), -1: torch.tensor([[1.0, 2.0]]), 0: torch.ones(1, 1)}
    assert module.layers == (-1, 3)
    assert module(points).item() == 8
    assert {name: value.item() for name, value in module.observed.items()} == {"layer_-1": 5, "layer_3": 3}


def test_each_layer_gets_the_gradient_of_its_own_loss():
    first, last = torch.randn(4, 3).double().requires_grad_(), torch.randn(4, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: Layers({1: square, 2: mean})({1: a, 2: b}), (first, last))


def test_labels_reach_every_layer_and_counts_are_added():
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0] * 17 + [1] * 3)
    module = Layers({0: PersistentEntropyLoss(), 1: OnSphere(PersistentEntropyLoss())})
    parts = PersistentEntropyLoss(), OnSphere(PersistentEntropyLoss())
    expected = sum(part(points, labels) for part in parts)
    torch.testing.assert_close(module({0: points, 1: points}, labels), expected)
    assert module.observed["classes_skipped"] == 2
    assert module.observed["bars"] == 32


def test_modules_inside_are_registered():
    module = Layers({-1: square, 2: OnSphere(PersistentEntropyLoss())})
    assert [type(part).__name__ for part in module.children()] == ["OnSphere"]
    assert module.eval().losses[2].training is False


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Layers({}), "at least one layer"),
        (lambda: Layers(dict.fromkeys((1, 2), PersistentEntropyLoss())), "two layers share one"),
        (lambda: Layers({1: Layers({-1: square})}), "layer 1 must have a loss of one point cloud"),
        (lambda: Layers({1: Balanced(square)}), r"Balanced\(Layers\("),
        (lambda: OnSphere(Layers({1: square})), r"Layers\(\{-1: OnSphere"),
        (lambda: Layers({1: square, 2: mean})({1: torch.ones(2, 2)}), r"layers \[1, 2\] .* got \[1\]"),
        (lambda: Layers({1: square})(torch.ones(2, 2)), "got Tensor"),
    ],
)
@pytest.mark.usefixtures("without_shape_checks")
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
