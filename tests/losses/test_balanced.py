import math

import pytest
import torch

from conescope.losses import Balanced, Layers, PersistentEntropyLoss, Scheduled


def square(points, labels=None):
    return points.square().sum() / 2


def norms(task, own):
    return torch.tensor(float(task)), torch.tensor(float(own))


def test_weight_by_hand():
    module = Balanced(square, share=0.2, momentum=0.5, start=1.0)
    module.observe(*norms(4, 1))  # w* = 0.25 * 4 / 1
    assert module.weight.item() == pytest.approx(1)
    module.observe(*norms(8, 2))  # averages 6 and 1.5
    assert (module.task_norm.item(), module.own_norm.item()) == pytest.approx((6, 1.5))
    assert module.weight.item() == pytest.approx(1)
    module.observe(*norms(2, 1.5))  # averages 4 and 1.5: w* = 2 / 3
    assert module.weight.item() == pytest.approx(2 / 3)


@pytest.mark.parametrize(("task", "own", "factor"), [(1e6, 1, 2), (1, 1e6, 0.5), (0, 1, 0.5)])
def test_the_weight_changes_by_a_factor_of_two_at_most(task, own, factor):
    module = Balanced(square, start=1.0)
    for step in range(1, 6):
        module.observe(*norms(task, own * module.weight))
        assert module.weight.item() == pytest.approx(factor**step)


def test_the_weight_comes_back_from_the_ends():
    module = Balanced(square, momentum=0.0, start=1.0)
    for _ in range(60):
        module.observe(*norms(0, module.weight))
    assert module.weight.item() == pytest.approx(1e-8)
    for _ in range(60):
        module.observe(*norms(19, module.weight))
    assert module.weight.item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("task", "own"), [(math.nan, 1), (1, math.nan), (math.inf, 1), (1, math.inf), (1, 0)]
)
@pytest.mark.parametrize("before", [0, 3])
def test_norms_that_say_nothing_change_nothing(task, own, before):
    module = Balanced(square)
    for _ in range(before):
        module.observe(*norms(2, 1))
    expected = {name: value.clone() for name, value in module.state_dict().items()}
    module.observe(*norms(task, own))
    torch.testing.assert_close(dict(module.state_dict()), expected, equal_nan=True)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 300.0])
def test_the_share_is_reached_on_a_quadratic_problem(share, scale):
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(16, 4, generator=generator).requires_grad_()
    target = torch.randn(16, 4, generator=generator) + 20
    module = Balanced(lambda p, _: scale * square(p), share, momentum=0.5)
    for _ in range(40):
        (task,) = torch.autograd.grad(square(points - target), points)
        (own,) = torch.autograd.grad(module(points), points)
        found = own.norm() / (own.norm() + task.norm())
        module.observe(task.norm(), own.norm())
        points = (points - 1e-4 * (task + own)).detach().requires_grad_()
    assert found.item() == pytest.approx(share, rel=0.1)


def test_it_starts_low():
    assert Balanced(square)(torch.tensor([[2.0]])).item() == pytest.approx(2e-3)


def test_gradient_is_scaled_by_the_weight():
    points = torch.randn(3, 2, dtype=torch.float64).requires_grad_()
    module = Balanced(square, start=1.0)
    module.observe(*norms(19 * 1.5, 1))
    assert torch.autograd.gradcheck(module, points)
    torch.testing.assert_close(module(points), 1.5 * square(points))
    assert module(points).dtype == torch.float64
    assert module.observed["balanced_weight"].item() == pytest.approx(1.5)


def test_observed_passes_through():
    module = Balanced(PersistentEntropyLoss())
    module(torch.randn(8, 3))
    assert module.observed["bars"] == 7


def test_state_survives_a_round_trip(tmp_path):
    module, fresh = Balanced(square), Balanced(square)
    for task in (3, 9, 1):
        module.observe(*norms(task, 2))
    torch.save(module.state_dict(), tmp_path / "state.pt")
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for each in (module, fresh):
        each.observe(*norms(5, 1))
    assert fresh.weight == module.weight != 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Balanced(square, share=0), "share must be above 0 and below 1, got 0"),
        (lambda: Balanced(square, share=1), "share must be above 0 and below 1, got 1"),
        (lambda: Balanced(square, momentum=1), "momentum must be at least 0 and below 1"),
        (lambda: Balanced(square, every=0), "every must be at least 1"),
        (lambda: Balanced(square, start=0.0), "start must be from 1e-08 to"),
        (lambda: Balanced(Balanced(square)), "one Balanced is enough"),
        (lambda: Balanced(Scheduled(square, ("until", 2))), r"write Scheduled\(Balanced"),
    ],
)
@pytest.mark.usefixtures("without_shape_checks")
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_around_layers():
    module = Balanced(Layers({1: square, -1: square}), start=1.0)
    assert module.layers == (1, -1)
    assert module({1: torch.ones(2, 2), -1: torch.ones(1, 2)}).item() == 3
