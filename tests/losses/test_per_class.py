import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from conescope import losses
from conescope.losses import Balanced, Gathered, Layers, OnSphere, PerClass, PersistentEntropyLoss, Remembered
from conescope.losses.at_once import AtOnce


def cloud(count, dim, seed=0):
    return torch.randn(count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Variance(nn.Module):
    """The mean squared distance from the mean, which counts its points and notes its value."""

    def forward(self, points, labels=None):
        assert labels is None
        loss = (points - points.mean(0)).square().sum(1).mean()
        self.observed = {"points": torch.tensor(len(points)), "variance": loss.detach()}
        return loss


def test_value_by_hand():
    points = torch.tensor([[0.0], [2.0], [10.0], [14.0], [99.0]])  # variances 1 and 4, and a class of one
    labels = torch.tensor([3, 3, 7, 7, 8])
    mean, total = PerClass(Variance(), min_points=2), PerClass(Variance(), 2, reduction="sum")
    assert mean(points, labels).item() == pytest.approx(2.5)
    assert total(points, labels).item() == pytest.approx(5)
    found = {name: value.item() for name, value in mean.observed.items()}
    assert found == {"points": 4, "variance": 2.5, "classes": 2, "classes_skipped": 1}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 8))
@example(seed=2**31, min_points=8)  # every class is too small
def test_the_sum_over_classes_is_persistent_entropy_per_class(seed, min_points):
    points = cloud(40, 4, seed)
    labels = torch.randint(-1, 5, (40,), generator=torch.Generator().manual_seed(seed))
    inner = PersistentEntropyLoss(min_points=2)
    found = PerClass(inner, min_points, "sum")
    itself = PersistentEntropyLoss(min_points=min_points)
    torch.testing.assert_close(found(points, labels), itself(points, labels))
    assert {name: int(found.observed.get(name, 0)) for name in itself.observed} == {  # no class: no counts
        name: int(value) for name, value in itself.observed.items()
    }


def test_classes_that_the_loss_inside_skips_are_counted():
    module = PerClass(PersistentEntropyLoss(min_points=6), min_points=3)
    assert module(cloud(12, 3), torch.tensor([0] * 6 + [1] * 4 + [2, 2])).item() < 0
    assert (module.observed["classes"], module.observed["classes_skipped"]) == (2, 2)


def test_gradient():
    points, labels = cloud(13, 3).requires_grad_(), torch.tensor([0, 1, 1, -100, 0] * 2 + [2, 2, 5])
    assert torch.autograd.gradcheck(lambda p: PerClass(Variance(), min_points=2)(p, labels), points)


def test_a_class_pulls_on_its_own_points_only():
    points = cloud(9, 2).requires_grad_()
    PerClass(Variance(), min_points=3)(points, torch.tensor([4, 4, 4, 4, -1, -7, 2, 2, -100])).backward()
    moved = points.grad.abs().sum(1) > 0
    assert moved.tolist() == [True] * 4 + [False] * 5


def test_without_labels_all_points_are_one_class():
    points = cloud(8, 3)
    torch.testing.assert_close(PerClass(Variance())(points), Variance()(points))


@pytest.mark.parametrize("count", [0, 1, 2, 4])
@pytest.mark.parametrize("labelled", [False, True])
def test_too_few_points_give_zero_and_no_gradient(count, labelled):
    points = cloud(count, 3).requires_grad_()
    module = PerClass(Variance())
    loss = module(points, torch.zeros(count, dtype=torch.int64) if labelled else None)
    loss.backward()
    assert loss == 0
    assert points.grad.eq(0).all()
    assert module.observed["classes_skipped"] == (count > 0)


def test_a_point_that_is_not_finite_makes_the_loss_nan():
    points, labels = cloud(12, 3), torch.tensor([0] * 10 + [1] * 2)
    points[11, 1] = math.inf  # in a class that is skipped
    assert PerClass(Variance())(points, labels).isnan()
    assert PerClass(Variance(), 20)(points, labels).isnan()


def test_half_precision_is_computed_in_float32_under_autocast():
    points, labels = cloud(24, 8).half(), torch.arange(24) % 3
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = PerClass(lambda p, _: (p @ p.T).mean())(points, labels)
    assert found.dtype == torch.float32
    expected = PerClass(lambda p, _: (p @ p.T).mean())(points.double(), labels)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_nested_with_the_sphere():
    points, labels = cloud(20, 3), torch.arange(20) % 2
    unit = points / points.norm(dim=1, keepdim=True)
    expected = PerClass(Variance())(unit, labels)
    torch.testing.assert_close(PerClass(OnSphere(Variance()))(points, labels), expected)
    torch.testing.assert_close(OnSphere(PerClass(Variance()))(points, labels), expected)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: PerClass(Variance(), 0), ValueError, "min_points must be at least 1, got 0"),
        (lambda: PerClass(Variance(), reduction="max"), ValueError, "reduction must be one of mean, sum"),
        (lambda: PerClass(Remembered(Variance())), ValueError, r"must be outside, Remembered\(PerClass"),
        (lambda: PerClass(OnSphere(Gathered(Variance()))), ValueError, r"outside, Gathered\(PerClass"),
        (lambda: PerClass(3), TypeError, "called with points and labels, got int"),
        (lambda: PerClass(Layers({-1: Variance()})), ValueError, "PerClass takes points of one layer"),
        (lambda: PerClass(Balanced(Variance())), ValueError, r"Balanced\(PerClass"),
        (lambda: PerClass(Variance())(cloud(8, 2), torch.zeros(3).long()), ValueError, r"shape \(8,\)"),
        (lambda: PerClass(lambda p, _: p)(cloud(8, 2)), TypeError, r"0-dim tensor, got shape \(8, 2\)"),
        (lambda: PerClass(lambda p, _: (p.sum(), 1))(cloud(8, 2)), TypeError, "got tuple"),
    ],
)
@pytest.mark.usefixtures("without_shape_checks")
def test_bad_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


# ---- classes of one size at once


AT_ONCE = {
    name: kind for name, kind in vars(losses).items() if isinstance(kind, type) and issubclass(kind, AtOnce)
}


def test_losses_that_can_be_taken_of_many_clouds_at_once():
    assert set(AT_ONCE) == {
        "CosineLoss",
        "KoLeoLoss",
        "OrthogonalLoss",
        "SpectralEntropyLoss",
        "UniformityLoss",
        "VarianceCovarianceLoss",
    }


class OneByOne(nn.Module):
    """The loss inside, which `PerClass` does not know to be one that can be taken at once."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def forward(self, points, labels=None):
        return self.loss(points, labels)


def value_and_gradient(module, points, labels):
    wanted = points.clone().requires_grad_()
    loss = module(wanted, labels)
    loss.backward()
    return loss.detach(), wanted.grad


@pytest.mark.parametrize("name", sorted(AT_ONCE))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_at_once_is_one_by_one(name, dtype, reduction):
    points = cloud(61, 6).to(dtype)
    points[3] = points[4] = 0.5  # copies
    points[9] = 0  # without a direction
    labels = torch.randint(-1, 7, (61,), generator=torch.Generator().manual_seed(1))
    labels[:10] = 3
    whole, single = AT_ONCE[name](0.3), OneByOne(AT_ONCE[name](0.3))
    at_once, one_by_one = (PerClass(loss, 2, reduction) for loss in (whole, single))
    found, expected = (value_and_gradient(module, points, labels) for module in (at_once, one_by_one))
    rtol = 0.02 if dtype == torch.bfloat16 else 1e-5  # gradients are rounded to the type of the points
    torch.testing.assert_close(found, expected, rtol=rtol, atol=1e-6)
    counts = [{k: int(v) for k, v in module.observed.items()} for module in (at_once, one_by_one)]
    assert counts[0] == counts[1]


class Halved(losses.KoLeoLoss):
    """A loss of one's own on top of one of ours."""

    def forward(self, points, labels=None):
        return super().forward(points, labels) / 2


class Renamed(losses.KoLeoLoss):
    """The same loss."""


def test_a_forward_of_ones_own_is_called():
    points, labels = cloud(12, 3), torch.arange(12) % 2
    whole = PerClass(losses.KoLeoLoss())(points, labels)
    torch.testing.assert_close(PerClass(Halved())(points, labels), whole / 2)
    torch.testing.assert_close(PerClass(Renamed())(points, labels), whole)
    assert (Halved.at_once, Renamed.at_once, losses.KoLeoLoss.at_once) == (False, True, True)


@pytest.mark.parametrize("name", sorted(AT_ONCE))
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_at_once_a_point_that_is_not_finite_makes_the_loss_nan(name, value):
    points = cloud(12, 4)
    points[7, 2] = value
    found, gradient = value_and_gradient(PerClass(AT_ONCE[name](), 2), points, torch.arange(12) % 3)
    assert math.isnan(found)
    assert gradient.isnan().any()


@pytest.mark.parametrize("name", sorted(AT_ONCE))
def test_each_cloud_has_its_own_loss(name):
    clouds = cloud(24, 3).reshape(4, 6, 3)
    loss = AT_ONCE[name](0.7)
    torch.testing.assert_close(loss.of_each(clouds), torch.stack([loss(each) for each in clouds]))
    assert loss.of_each(clouds[:, :1]).tolist() == [float(loss(each)) for each in clouds[:, :1]]
    with torch.autocast("cpu", torch.bfloat16):
        points, labels = clouds.float().reshape(24, 3), torch.arange(24) // 6
        inside = PerClass(loss, 2)(points, labels)
    torch.testing.assert_close(inside, PerClass(loss, 2)(points, labels))


# ---- classes of a size


@pytest.mark.parametrize("inner", [Variance(), losses.KoLeoLoss(), PersistentEntropyLoss()])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_classes_of_a_size_are_those_that_are_read(inner, reduction):
    points = cloud(30, 4).requires_grad_()
    labels = torch.arange(30).remainder(5)[torch.randperm(30, generator=torch.Generator().manual_seed(1))] * 7
    read, promised = PerClass(inner, reduction=reduction), PerClass(inner, reduction=reduction, size=6)
    values = [module(points, labels) for module in (read, promised)]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*(torch.autograd.grad(value, points)[0] for value in values))
    assert {name: float(value) for name, value in read.observed.items()} == {
        name: float(value) for name, value in promised.observed.items()
    }
    torch.testing.assert_close(*(module(points, None) for module in (read, promised)))


BROKEN = {
    "another size": [0] * 5 + [1] * 7,
    "two classes of one number": [3] * 12,
    "no class": [-100] * 6 + [1] * 6,
    "one that is elsewhere": [0, 1] * 5 + [1, 2],
}


@pytest.mark.parametrize("numbers", BROKEN.values(), ids=BROKEN)
def test_a_broken_promise_is_an_error_and_nan_where_a_look_would_wait(monkeypatch, numbers):
    module, points, labels = (
        PerClass(Variance(), size=6),
        cloud(12, 3).requires_grad_(),
        torch.tensor(numbers),
    )
    with pytest.raises(ValueError, match=r"every class has 6 points.* leave `size` out"):
        module(points, labels)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    loss = module(points, labels)
    loss.backward()
    assert loss.isnan()
    assert points.grad.isnan().any()


def test_sizes_that_can_not_be_are_named():
    with pytest.raises(ValueError, match="13 points can not be classes of 6 each"):
        PerClass(Variance(), size=6)(cloud(13, 3), torch.zeros(13, dtype=torch.int64))
    with pytest.raises(ValueError, match="classes of size 4 are all below min_points, 5"):
        PerClass(Variance(), size=4)


def test_no_points_are_no_class_of_any_size():
    points = torch.zeros(0, 3, requires_grad=True)
    assert PerClass(Variance(), size=6)(points, torch.zeros(0, dtype=torch.int64)).item() == 0
