import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.losses.sliced_gaussian import (
    SlicedGaussianLoss,
    normal_statistics,
    sliced_gaussian_loss,
    unit_slices,
)
from tests.reference import losses_sliced_gaussian as reference


def cloud(count, dim, seed=0, dtype=torch.float64):
    return torch.randn(count, dim, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("line", "expected"),
    [([0.0] * 4, 1.608190), ([-1.0, 1.0], 0.205659), ([-1.5, -0.5, 0.5, 1.5], 0.228828)],
)
def test_worked_values(line, expected):
    points = torch.tensor(line)[:, None]  # the statistic is even, so the slices 1 and -1 of a line agree
    assert sliced_gaussian_loss(points).item() == pytest.approx(expected, abs=2e-6)
    assert sliced_gaussian_loss(points, mean=True).item() == pytest.approx(expected / len(line), abs=2e-6)
    assert reference.statistic(line) == pytest.approx(expected, abs=1e-6)


def test_a_collapsed_batch_of_eight_gives_twice_that_of_four():
    assert sliced_gaussian_loss(torch.zeros(8, 5)).item() == pytest.approx(2 * 1.608190, abs=4e-6)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(2, 15), st.integers(1, 8), st.sampled_from(["unit", "dimension", 0.4])
)
def test_matches_the_equation_slice_by_slice(seed, n, d, scale):
    points = np.random.default_rng(seed).normal(size=(n, d)) + 0.5
    found = sliced_gaussian_loss(torch.from_numpy(points), slices=7, scale=scale, generator=seeded(seed))
    deviation = {"unit": 1.0, "dimension": 1 / math.sqrt(d)}.get(scale, scale)
    directions = unit_slices(7, d, like=found, generator=seeded(seed)).numpy()
    expected = [reference.statistic(points @ direction / deviation) for direction in directions]
    assert found.item() == pytest.approx(np.mean(expected), abs=1e-9)
    assert 0 <= found <= 7.5 * n


def test_slices_are_unit_vectors_in_all_directions():
    slices = unit_slices(20000, 3, like=torch.zeros((), dtype=torch.float64), generator=seeded())
    torch.testing.assert_close(slices.norm(dim=1), torch.ones(20000, dtype=torch.float64))
    # in 3 dimensions each coordinate of a random unit vector is uniform on [-1, 1]: mean powers 0, 1/3, 1/5
    torch.testing.assert_close(slices.mean(dim=0), torch.zeros(3, dtype=torch.float64), rtol=0, atol=0.02)
    torch.testing.assert_close(
        slices.square().mean(dim=0), torch.full((3,), 1 / 3).double(), rtol=0, atol=0.01
    )
    torch.testing.assert_close(slices.pow(4).mean(dim=0), torch.full((3,), 1 / 5).double(), rtol=0, atol=0.01)


@pytest.mark.parametrize("n", [4, 64])
def test_normal_samples_have_the_expected_mean_whatever_their_size(n):
    # the mean of |ecf - f|^2 is (1 - f^2) / n, of the statistic the integral of (1 - e^(-t^2)) e^(-t^2/2)
    knots = np.linspace(-3, 3, 33)
    values = (1 - np.exp(-(knots**2))) * np.exp(-(knots**2) / 2)
    expected = np.trapezoid(values, knots)
    assert expected == pytest.approx(1.0525, abs=1e-4)
    found = normal_statistics(cloud(n, 40000)).mean().item()
    assert found == pytest.approx(expected, rel=0.03)


def test_unit_vectors_are_not_punished_with_the_scale_of_their_dimension():
    points = torch.nn.functional.normalize(cloud(256, 64), dim=1)
    collapsed = points[:1].expand(256, 64)
    losses = {
        scale: [sliced_gaussian_loss(p, scale=scale, generator=seeded()).item() for p in (points, collapsed)]
        for scale in ("unit", "dimension")
    }
    assert losses["dimension"][0] == pytest.approx(1.0525, abs=0.15)
    assert losses["dimension"][1] > 100 * losses["dimension"][0]
    assert losses["unit"][0] > 80  # an even sphere of radius 1 looks like a collapse to the published scale
    same = sliced_gaussian_loss(points, scale=1 / 8, generator=seeded()).item()
    assert same == pytest.approx(losses["dimension"][0])


@pytest.mark.parametrize("scale", ["unit", "dimension"])
def test_gradient(scale):
    points = cloud(6, 3).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p: sliced_gaussian_loss(p, slices=4, scale=scale, generator=seeded()), points
    )


def test_a_collapse_moves_to_the_origin_as_one_and_the_least_difference_opens_it():
    points = torch.full((6, 3), 0.5, dtype=torch.float64, requires_grad=True)
    sliced_gaussian_loss(points, generator=seeded()).backward()
    torch.testing.assert_close(points.grad, points.grad[:1].expand(6, 3))
    assert points.grad.gt(0).all()  # descent lowers every coordinate
    nearly = (1e-6 * cloud(6, 3)).requires_grad_()
    sliced_gaussian_loss(nearly, generator=seeded()).backward()
    apart, pull = (part - part.mean(dim=0) for part in (nearly, nearly.grad))
    assert ((apart * pull).sum(dim=1) < 0).all()  # descent leads every point away from the mean


def test_a_descent_step_moves_the_common_mean():
    points = cloud(40, 4) + 1
    points.requires_grad_()
    sliced_gaussian_loss(points, generator=seeded()).backward()
    assert points.grad.sum(dim=0).gt(0).all()


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_points_give_zero_and_no_gradient(count):
    points = torch.ones(count, 3, requires_grad=True)
    loss = sliced_gaussian_loss(points)
    loss.backward()
    assert loss == 0
    assert points.grad.eq(0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("count", [1, 8])
def test_a_point_that_is_not_finite_makes_the_loss_nan(bad, count):
    points = cloud(count, 3)
    points[0, 1] = bad
    assert sliced_gaussian_loss(points).isnan()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_is_computed_in_float32_under_autocast(dtype):
    points = cloud(24, 8).to(dtype)
    expected = sliced_gaussian_loss(points.double(), generator=seeded()).item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = sliced_gaussian_loss(points, generator=seeded())
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_module_equals_function():
    points, labels = cloud(12, 4), torch.arange(12) % 3
    module = SlicedGaussianLoss(weight=0.3, slices=5, scale=0.7, mean=True)
    torch.manual_seed(3)
    found = module(points, labels)
    torch.manual_seed(3)
    torch.testing.assert_close(found, 0.3 * sliced_gaussian_loss(points, slices=5, scale=0.7, mean=True))
    assert repr(module) == "SlicedGaussianLoss(weight=0.3, slices=5, scale=0.7, mean=True, seed=None)"


def test_a_seed_gives_every_rank_the_same_slices_and_every_step_others():
    points = cloud(12, 4)
    module, twin = (SlicedGaussianLoss(slices=5, seed=11) for _ in range(2))
    losses = [module(points).item() for _ in range(4)]
    torch.manual_seed(5)  # what else is drawn on a rank does not matter
    assert [twin(points).item() for _ in range(4)] == losses
    assert len(set(losses)) == 4
    other = SlicedGaussianLoss(slices=5, seed=12)
    assert not set(losses) & {other(points).item() for _ in range(4)}


def test_a_run_goes_on_where_it_was_saved_and_evaluation_does_not_count():
    points = cloud(12, 4)
    module = SlicedGaussianLoss(slices=5, seed=0)
    module(points)
    state = copy.deepcopy(module.state_dict())
    expected = [module(points).item() for _ in range(2)]
    resumed = SlicedGaussianLoss(slices=5, seed=0)
    resumed.load_state_dict(state)
    resumed.eval()
    assert [resumed(points).item() for _ in range(2)] == expected[:1] * 2
    resumed.train()
    assert [resumed(points).item() for _ in range(2)] == expected


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"slices": 0}, "slices is a number of random directions, at least 1, got 0"),
        ({"scale": 0.0}, 'scale must be "unit", "dimension" or a positive number, got 0'),
        ({"scale": "sphere"}, "got 'sphere'"),
        ({"scale": math.nan}, "got nan"),
    ],
)
@pytest.mark.usefixtures("without_shape_checks")
def test_bad_settings_are_named(setting, message):
    with pytest.raises(ValueError, match=message):
        sliced_gaussian_loss(cloud(4, 2), **setting)
    with pytest.raises(ValueError, match=message):
        SlicedGaussianLoss(**setting)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_cpu():
    points = cloud(32, 8)
    found = sliced_gaussian_loss(points.cuda(), generator=seeded())
    torch.testing.assert_close(found.cpu(), sliced_gaussian_loss(points, generator=seeded()))
