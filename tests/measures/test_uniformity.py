import math
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import hyp0f1

from conescope.measures import uniformity
from conescope.measures.uniformity import isotropic_uniformity
from tests.reference import uniformity as reference


def normal(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


CROSS = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]], dtype=torch.float64)


def test_cross_by_hand():
    # 4 pairs at squared distance 2, 2 pairs at 4: ln((4 e^-4 + 2 e^-8) / 6)
    assert uniformity(CROSS).item() == pytest.approx(math.log((4 * math.exp(-4) + 2 * math.exp(-8)) / 6))
    assert uniformity(CROSS).item() == pytest.approx(-4.396349, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(2, 15),
    st.integers(1, 6),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 5.0]),
    st.sampled_from([0.5, 2.0, 10.0]),
)
def test_matches_the_loop_over_pairs(n, d, seed, offset, t):
    points = normal(n, d, seed) + offset
    found = uniformity(points, t=t).item()
    assert found == pytest.approx(reference.uniformity(points.tolist(), t), abs=1e-12)


@pytest.mark.parametrize("block", [1, 7, 60, 1 << 22])
def test_blocks_change_nothing(block, monkeypatch):
    points = normal(20, 3)
    monkeypatch.setattr(import_module(uniformity.__module__), "BLOCK", block)
    assert uniformity(points).item() == pytest.approx(reference.uniformity(points.tolist()), rel=1e-13)
    assert uniformity(points[:2]).item() == pytest.approx(reference.uniformity(points[:2].tolist()))


def test_ends_of_the_range():
    ray = torch.tensor([[1.0, 2.0], [2.0, 4.0], [0.1, 0.2]], dtype=torch.float64)
    assert uniformity(ray).item() == pytest.approx(0, abs=1e-14)
    assert uniformity(CROSS[[0, 2]]).item() == pytest.approx(-8, rel=1e-15)
    assert uniformity(CROSS[[0, 2]], t=0.5).item() == pytest.approx(-2, rel=1e-15)


@pytest.mark.parametrize("n", [3, 6])
def test_simplex_is_as_even_as_n_points_can_be(n):
    # all pairs at squared distance 2 n / (n - 1), the greatest mean there is
    simplex = torch.eye(n, dtype=torch.float64) - 1 / n
    assert uniformity(simplex).item() == pytest.approx(-4 * n / (n - 1), rel=1e-13)


def test_sharp_potentials_do_not_underflow():
    assert uniformity(CROSS, t=1000.0).item() == pytest.approx(math.log(4 / 6) - 2000, rel=1e-14)


def test_zero_vectors_are_left_out_with_their_pairs():
    points = torch.cat([CROSS, torch.zeros(3, 2)]).requires_grad_()
    found = uniformity(points)
    found.backward()
    torch.testing.assert_close(found, uniformity(CROSS))
    alone = CROSS.clone().requires_grad_()
    uniformity(alone).backward()
    torch.testing.assert_close(points.grad[:4], alone.grad)
    assert (points.grad[4:] == 0).all()


def test_extreme_lengths_of_single_points_do_not_matter():
    lengths = torch.tensor([1e-200, 1.0, 1e150, 1e200], dtype=torch.float64)
    assert uniformity(CROSS * lengths[:, None]).item() == pytest.approx(uniformity(CROSS).item(), rel=1e-14)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_directions(n):
    points = torch.cat([normal(n, 3), torch.zeros(2, 3)]).requires_grad_()
    assert uniformity(points).isnan()
    assert uniformity(points[:n]).isnan()
    assert uniformity(points).requires_grad


@pytest.mark.parametrize("t", [0.0, -2.0, math.inf, math.nan])
def test_t_must_be_positive(t):
    with pytest.raises(ValueError, match="positive"):
        uniformity(CROSS, t=t)


def test_gradient_with_duplicates_and_antipodes():
    points = torch.cat([CROSS, CROSS[:2], 2 * CROSS[:1], normal(3, 2)]).requires_grad_()
    assert torch.autograd.gradcheck(uniformity, points)
    assert torch.autograd.gradcheck(lambda x: uniformity(x, t=7.0), normal(6, 4).requires_grad_())


def test_descent_spreads_points():
    points = (normal(12, 3) + 2).requires_grad_()
    before = uniformity(points)
    for _ in range(50):
        (gradient,) = torch.autograd.grad(uniformity(points), points)
        points = (points - gradient).detach().requires_grad_()
    assert uniformity(points) < before - 1


# many independent directions


@pytest.mark.parametrize("t", [0.5, 2.0, 20.0])
@pytest.mark.parametrize("d", [1, 2, 3, 10, 768, 10_000])
def test_isotropic_value_is_the_hypergeometric_function(d, t):
    expected = math.log(hyp0f1(d / 2, t * t)) - 2 * t
    assert isotropic_uniformity(d, t=t) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("d", [2, 3, 20])
def test_isotropic_value_is_the_mean_over_the_sphere(d):
    # the cosine c of two independent directions has density proportional to (1 - c^2)^((d - 3) / 2)
    def weight(angle):
        return math.sin(angle) ** (d - 2)

    mean = quad(lambda a: math.exp(4 * (math.cos(a) - 1)) * weight(a), 0, math.pi)[0]
    assert isotropic_uniformity(d) == pytest.approx(math.log(mean / quad(weight, 0, math.pi)[0]), rel=1e-9)


def test_isotropic_value_by_hand():
    # on a line u . v = +-1: ln((1 + e^-8) / 2); in many dimensions -2 t
    assert isotropic_uniformity(1) == pytest.approx(math.log((1 + math.exp(-8)) / 2), rel=1e-14)
    assert isotropic_uniformity(10**7) == pytest.approx(-4, abs=1e-6)


@pytest.mark.parametrize("d", [2, 5, 40])
def test_gaussian_cloud_reaches_it(d):
    assert uniformity(normal(2000, d)).item() == pytest.approx(isotropic_uniformity(d), abs=0.01)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_keeps_dtype(dtype):
    points = normal(9, 3).to(dtype)
    assert uniformity(points).dtype == dtype
    expected = reference.uniformity(points.double().tolist())
    assert uniformity(points).item() == pytest.approx(expected, rel=2 * torch.finfo(dtype).eps)


def test_points_on_a_line():
    points = torch.from_numpy(np.array([[1.0], [2.0], [-3.0]]))  # one pair together, two pairs opposite
    assert uniformity(points).item() == pytest.approx(math.log((1 + 2 * math.exp(-8)) / 3))
