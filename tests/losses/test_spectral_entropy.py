import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.losses import SpectralEntropyLoss, spectral_entropy_loss
from conescope.measures import effective_rank_of_variances, participation_ratio
from tests.reference.losses_spectral_entropy import spectral_entropy_loss as reference

ORDERS = [1, 2]


def of_variances(*variances):
    axes = torch.diag(torch.tensor(variances, dtype=torch.float64).sqrt())
    return torch.cat([axes, -axes])


def test_values_by_hand():
    # eigenvalues (4, 3, 2, 1): shares .4 .3 .2 .1, exp(entropy) 3.596115, participation ratio 10/3
    points = of_variances(4, 3, 2, 1)
    assert spectral_entropy_loss(points).item() == pytest.approx(-math.log(3.596115), abs=1e-6)
    assert spectral_entropy_loss(points, order=2).item() == pytest.approx(-math.log(10 / 3))
    for order in ORDERS:
        assert spectral_entropy_loss(of_variances(1, 0, 0), order=order).item() == pytest.approx(0, abs=1e-12)
        assert spectral_entropy_loss(of_variances(5, 5, 5), order=order).item() == pytest.approx(-math.log(3))
    # about the origin the common direction counts: rows (1, 1) and (1, -1) are a line, or two axes
    two = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    assert spectral_entropy_loss(two).item() == pytest.approx(0, abs=1e-7)
    assert spectral_entropy_loss(two, center=False).item() == pytest.approx(-math.log(2))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 12), st.sampled_from(ORDERS), st.booleans())
def test_matches_the_singular_values(seed, count, order, center):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 6)) * rng.uniform(0.1, 3, 6) + 0.5
    found = spectral_entropy_loss(torch.from_numpy(points), order=order, center=center)
    assert found.item() == pytest.approx(reference(points, order, center), abs=1e-10)
    assert -math.log(min(count - center, 6)) - 1e-10 <= found <= 1e-10


@pytest.mark.parametrize("shape", [(9, 5), (5, 9)])
def test_minus_the_loss_is_the_logarithm_of_its_measure(shape):
    points = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close((-spectral_entropy_loss(points)).exp(), effective_rank_of_variances(points))
    torch.testing.assert_close((-spectral_entropy_loss(points, order=2)).exp(), participation_ratio(points))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(ORDERS), st.sampled_from([1e-12, 1e-3, 1e15]))
def test_position_and_size_do_not_matter(seed, order, size):
    points = torch.randn(8, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    expected = spectral_entropy_loss(points, order=order)
    torch.testing.assert_close(spectral_entropy_loss(points * size, order=order), expected)
    torch.testing.assert_close(spectral_entropy_loss(points + 7, order=order), expected)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("center", [True, False])
def test_gradient_at_equal_and_empty_directions(order, center):
    repeated = of_variances(2, 2, 2, 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: spectral_entropy_loss(p, order=order, center=center), repeated)
    few = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: spectral_entropy_loss(p, order=order, center=center), few)


def test_gradient_of_an_empty_direction_is_that_of_the_limit():
    # (4, 1, 0): at a coordinate of size e of the empty direction the gradient is O(e ln e), at 0 it is 0
    flat = of_variances(4, 1, 0).requires_grad_()
    spectral_entropy_loss(flat).backward()
    assert flat.grad[:, 2].abs().max() < 1e-12
    # by hand: dL/dlambda = (ln p + H) / T with T = 10, H = 0.500402, and dlambda = 2 x
    expected = 2 * 2 * (math.log(0.8) + 0.500402) / 10
    assert flat.grad[0, 0].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("order", ORDERS)
def test_nearly_a_line_is_opened_also_in_float32(order):
    generator = torch.Generator().manual_seed(0)
    line = torch.randn(16, 1, generator=generator) * torch.ones(6)
    points = (line + 0.02 * torch.randn(16, 6, generator=generator)).requires_grad_()
    loss = SpectralEntropyLoss(order=order)
    start = loss(points).item()
    for _ in range(600):
        (gradient,) = torch.autograd.grad(loss(points), points)
        points = (points - 0.5 * gradient).detach().requires_grad_()
    assert start > -0.02
    assert loss(points) < -0.95 * math.log(6)


def test_uncentered_it_turns_points_from_the_common_direction_and_centered_not():
    noise = torch.randn(12, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    points = (3 + noise).requires_grad_()
    (about_origin,) = torch.autograd.grad(spectral_entropy_loss(points, center=False), points)
    (about_mean,) = torch.autograd.grad(spectral_entropy_loss(points), points)
    mean = points.detach().mean(dim=0)
    assert about_origin.mean(dim=0) @ mean > 1e-3 * mean.norm()  # descent shortens the mean
    torch.testing.assert_close(about_mean.mean(dim=0), torch.zeros_like(mean), rtol=0, atol=1e-12)


def test_gradient_in_float32_agrees_with_float64():
    points = of_variances(*[10.0**-k for k in range(6)]).roll(1, dims=1)
    points = points + 1e-3 * torch.randn(
        12, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    gradients = []
    for dtype in (torch.float32, torch.float64):
        leaf = points.to(dtype).requires_grad_()
        spectral_entropy_loss(leaf).backward()
        gradients.append(leaf.grad.double())
    torch.testing.assert_close(
        gradients[0], gradients[1], rtol=0, atol=1e-4 * gradients[1].abs().max().item()
    )


@pytest.mark.usefixtures("without_shape_checks")
def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match=r"order must be 1 \(Shannon\) or 2 \(Renyi\), got 3"):
        spectral_entropy_loss(of_variances(1, 1), order=3)
    with pytest.raises(ValueError, match="order must be 1"):
        SpectralEntropyLoss(order=0)
