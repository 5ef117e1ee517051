import math

import pytest
import torch

from conescope.losses import Balanced, Layers, Scheduled


def total(points, labels=None):
    return points.sum()


def weights(module, calls):
    return [module(torch.ones(1, 1)).item() for _ in range(calls)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (("warmup", 4), [0, 0.25, 0.5, 0.75, 1, 1]),
        (("cosine", 4), [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0, 0]),
        (("until", 3), [1, 1, 1, 0, 0]),
        (lambda step: step**2, [0, 1, 4, 9]),
    ],
)
def test_weights_by_hand(schedule, expected):
    module = Scheduled(total, schedule)
    assert weights(module, len(expected)) == pytest.approx(expected, abs=1e-7)
    assert module.observed["scheduled_weight"].item() == pytest.approx(expected[-1], abs=1e-7)


def test_one_step_may_take_several_calls():
    assert weights(Scheduled(total, ("warmup", 2), calls_per_step=3), 8) == [0, 0, 0, 0.5, 0.5, 0.5, 1, 1]


def test_nothing_is_counted_in_eval_mode():
    module = Scheduled(total, ("warmup", 2))
    weights(module, 1)
    assert weights(module.eval(), 3) == [0.5] * 3
    assert weights(module.train(), 2) == [0.5, 1]


def test_gradient_and_dtype():
    points = torch.randn(3, 2, dtype=torch.float64).requires_grad_()
    module = Scheduled(lambda p, _: p.square().sum(), lambda step: 0.3).eval()
    assert torch.autograd.gradcheck(module, points)
    assert module(points).dtype == torch.float64


def test_the_count_survives_a_round_trip(tmp_path):
    module, fresh = Scheduled(total, ("warmup", 8)), Scheduled(total, ("warmup", 8))
    weights(module, 3)
    torch.save(module.state_dict(), tmp_path / "state.pt")
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert weights(fresh, 2) == weights(module, 2) == [3 / 8, 4 / 8]


def test_around_layers():
    module = Scheduled(Layers({2: total, -1: total}), ("until", 1))
    assert module.layers == (2, -1)
    assert module({2: torch.ones(2, 2), -1: torch.ones(1, 1)}).item() == 5


def test_around_balanced_it_scales_the_share():
    module = Scheduled(Balanced(total, share=0.5, momentum=0.0, start=1.0), lambda step: 0.25)
    assert module.observe_every == 1
    module(torch.ones(1, 1))
    module.observe(torch.tensor(1.0), torch.tensor(0.25))  # the norm at weight 1 is 1
    assert module.loss.weight == 1  # as share 0.5 asks for, the schedule aside
    assert module(torch.ones(1, 1)).item() == 0.25


def test_balanced_learns_nothing_at_weight_zero():
    module = Scheduled(Balanced(total), ("warmup", 5))
    module(torch.ones(1, 1))
    module.observe(torch.tensor(1.0), torch.tensor(0.0))
    assert module.loss.own_norm.isnan()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Scheduled(total, ("linear", 3)), "one of warmup, cosine, until .* got 'linear'"),
        (lambda: Scheduled(total, ("warmup", 0)), "at least 1 step, got 0"),
        (lambda: Scheduled(total, ("warmup", 3), calls_per_step=0), "calls_per_step must be at least 1"),
        (lambda: Scheduled(total, lambda step: math.nan), "finite weights, got nan at step 0"),
    ],
)
@pytest.mark.usefixtures("without_shape_checks")
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
