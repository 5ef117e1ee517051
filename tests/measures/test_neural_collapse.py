import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import neural_collapse
from conescope.measures.neural_collapse import neural_collapse_from_moments
from conescope.scale.moments import moments
from tests.reference import neural_collapse as reference


def both(points, labels):
    """NC1 by either door; they must agree where both are defined."""
    found = neural_collapse(points, labels)
    numbers = torch.unique(labels, return_inverse=True)[1]
    torch.testing.assert_close(
        neural_collapse_from_moments(moments(points, numbers)), found.double(), rtol=1e-7, atol=1e-9
    )
    return found.item()


def test_two_classes_on_a_line_by_hand():
    # means 3 and -3: Sigma_B = 9; deviations 1, -1, 2, -2: Sigma_W = 10 / 4; NC1 = 2.5 / 9 / 2
    points = torch.tensor([[4.0], [2], [-1], [-5]], dtype=torch.float64)
    assert both(points, torch.tensor([1, 1, 0, 0])) == pytest.approx(2.5 / 18)


def test_only_spread_along_the_class_means_counts():
    points = torch.tensor([[4.0, 70], [2, -70], [-1, 0], [-5, 0]], dtype=torch.float64)
    assert both(points, torch.tensor([1, 1, 0, 0])) == pytest.approx(2.5 / 18)


def test_classes_count_once_whatever_their_size():
    # means 3 (six points) and -3 (two): Sigma_B = 9 as before; Sigma_W = (6 * 1 + 2 * 4) / 8 = 14 / 8
    points = torch.tensor([[4.0], [2]] * 3 + [[-1], [-5]], dtype=torch.float64)
    assert both(points, torch.tensor([0] * 6 + [1] * 2)) == pytest.approx(14 / 8 / 9 / 2)


def test_simplex_with_round_noise_by_hand():
    # K class means on the axes, e_k: Sigma_B = (I - 11^T / K) / K, pseudo-inverse K (I - 11^T / K);
    # noise +-s along every axis: Sigma_W = s^2 / K I, so NC1 = s^2 / K * K (K - 1) / K
    k, s = 5, 0.3
    axes = torch.eye(k, dtype=torch.float64)
    points = torch.cat([axes + s * sign * axis for axis in axes for sign in (1, -1)])
    assert both(points, torch.arange(k).repeat(2 * k)) == pytest.approx(s**2 * (k - 1) / k)


@settings(max_examples=40, deadline=None)
@given(st.integers(6, 30), st.integers(1, 12), st.integers(0, 2**31))
def test_matches_the_definition(n, d, seed):
    rng = np.random.default_rng(seed)
    labels = np.append(rng.integers(-2, 3, n - 2), [9, 10])
    array = rng.normal(size=(n, d)) + rng.normal(size=d) + 2 * np.eye(30)[labels % 30][:, :d]
    # means in nearly the same place make both pseudo-inverses doubtful
    means = np.array([array[labels == c].mean(axis=0) for c in np.unique(labels)])
    singular = np.linalg.svd(means - means.mean(axis=0), compute_uv=False)[: min(len(means) - 1, d)]
    if singular[-1] > 0.05:
        found = both(torch.from_numpy(array), torch.from_numpy(labels))
        assert found == pytest.approx(reference.neural_collapse(array, labels), rel=1e-6)


@pytest.mark.parametrize("offset", [0.0, 0.1, 300.0])
def test_collapsed_classes_are_zero(offset):
    means = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + offset
    labels = torch.arange(40) % 4
    assert neural_collapse(means[labels], labels) == 0
    assert neural_collapse_from_moments(moments(means[labels], labels)) == 0


def test_class_means_on_a_line_have_one_direction():
    # means 0, 2, 4 along (1, 1) / sqrt 2, far from the origin: Sigma_B = 8 / 3 there; Sigma_W = 1 there
    along = torch.tensor([1.0, 1], dtype=torch.float64) / math.sqrt(2)
    steps = torch.tensor([1.0, -1, 3, 1, 5, 3], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    points = steps[:, None] * along + torch.tensor([1e3, -2e3])
    assert both(points, labels) == pytest.approx(1 / (8 / 3) / 3)


@pytest.mark.parametrize("offset", [0.0, 0.1, 1e6])
def test_class_means_that_coincide_are_undefined(offset):
    a, b = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + offset
    points, labels = torch.cat([a, b, b, a]), torch.arange(2).repeat_interleave(10)
    assert neural_collapse(points, labels).isnan()
    assert neural_collapse_from_moments(moments(points, labels)).isnan()


def test_moments_that_can_not_tell_say_so():
    # means 2e-7 apart in a cloud of size 1: their squared distance is below the rounding of the scatter
    points = torch.tensor([[1.0], [-1], [1], [-1]], dtype=torch.float64)
    points[:2] += 2e-7
    labels = torch.tensor([0, 0, 1, 1])
    assert neural_collapse(points, labels).item() == pytest.approx(1 / 1e-14 / 2, rel=1e-6)
    apart = torch.tensor(
        [[0.0, 1e-6], [0, -1e-6], [1, 0], [1, 0], [0, 1e-6], [0, -1e-6]], dtype=torch.float64
    )
    apart[4:, 1] += 1e-6
    hidden = neural_collapse_from_moments(moments(apart, torch.arange(6) // 2))
    assert hidden.isnan()


def test_too_few_classes_or_points_are_undefined():
    assert neural_collapse(torch.randn(4, 2), torch.zeros(4, dtype=torch.int64)).isnan()
    for n, undefined in [(0, True), (1, True), (2, False)]:
        points = torch.arange(2.0 * n).reshape(n, 2)
        assert bool(neural_collapse(points, torch.arange(n)).isnan()) == undefined
    assert neural_collapse(torch.full((6, 3), 0.1), torch.arange(6)).isnan()


@pytest.mark.parametrize("classes", [2, 4])
def test_gradient(classes):
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(9, 5, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: neural_collapse(x, torch.arange(9) % classes), points)


def test_moments_without_scatter_or_labels_are_refused():
    points = torch.randn(6, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match="order 2"):
        neural_collapse_from_moments(moments(points, torch.arange(6) % 2, order=1))
    with pytest.raises(ValueError, match="scan with labels"):
        neural_collapse_from_moments(moments(points))
