import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import effective_rank, effective_rank_of_variances
from conescope.measures.effective_rank import effective_rank_of_variances_from_spectrum
from conescope.measures.spectrum import spectrum_from_moments
from conescope.scale.moments import moments
from tests.reference import effective_rank as reference


def cross(*half_axes):
    """Return +-a_i e_i, whose mean is 0 and whose singular values are sqrt(2) a_i."""
    axes = torch.diag(torch.tensor(half_axes, dtype=torch.float64))
    return torch.cat([axes, -axes])


def test_eigenvalues_4_3_2_1():
    assert effective_rank(cross(2, math.sqrt(3), math.sqrt(2), 1)).item() == pytest.approx(3.879678, abs=1e-6)


def test_two_directions_by_hand():
    # shares 2/3 and 1/3: exp(ln 3 - 2/3 ln 2) = 3 / 2^(2/3)
    assert effective_rank(cross(2, 1)).item() == pytest.approx(3 / 2 ** (2 / 3), rel=1e-14)


@pytest.mark.parametrize("r", [1, 3, 6])
def test_equal_directions_are_counted(r):
    points = cross(*[1.0] * r, *[0.0] * (6 - r))
    assert effective_rank(points + 5).item() == pytest.approx(r)
    assert effective_rank(points, center=False).item() == pytest.approx(r)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 20), st.integers(1, 20), st.integers(0, 2**31))
def test_matches_the_definition(n, d, seed):
    rng = np.random.default_rng(seed)
    array = rng.normal(size=(n, d)) * rng.uniform(0.01, 3, d) + rng.normal(size=d)
    points = torch.from_numpy(array)
    assert effective_rank(points).item() == pytest.approx(reference.centered_effective_rank(array))
    assert effective_rank(points, center=False).item() == pytest.approx(reference.effective_rank(array))


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 20), st.integers(2, 20), st.integers(0, 2**31))
def test_lies_between_participation_ratio_and_rank(n, d, seed):
    rng = np.random.default_rng(seed)
    array = rng.normal(size=(n, d)) * rng.uniform(0.01, 3, d)
    squares = np.linalg.svd(array - array.mean(axis=0), compute_uv=False) ** 2
    participation = squares.sum() ** 2 / (squares**2).sum()
    value = effective_rank(torch.from_numpy(array)).item()
    assert participation - 1e-9 <= value <= min(n - 1, d) + 1e-9


def test_directions_that_are_zero_to_rounding_change_neither_value_nor_gradient():
    flat = torch.randn(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    turn = torch.linalg.qr(
        torch.randn(8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ).Q
    points = (torch.cat([flat, torch.zeros(20, 6, dtype=torch.float64)], dim=1) @ turn).requires_grad_()
    value = effective_rank(points)
    value.backward()
    flat.requires_grad_()
    expected = effective_rank(flat)
    expected.backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(points.grad @ turn.T[:, :2], flat.grad)
    torch.testing.assert_close(points.grad @ turn.T[:, 2:], torch.zeros(20, 6, dtype=torch.float64))


def test_without_spread_it_is_nan():
    assert effective_rank(torch.full((5, 3), 0.1)).isnan()
    assert effective_rank(torch.full((5, 3), 0.1), center=False).item() == pytest.approx(1)
    assert effective_rank(torch.zeros(5, 3), center=False).isnan()
    assert effective_rank(torch.ones(1, 3)).isnan()
    assert effective_rank(torch.ones(0, 3)).isnan()


# the eigenvalue form


def test_variances_4_3_2_1():
    # shares .4, .3, .2, .1: entropy .366516 + .361192 + .321888 + .230259 = 1.279854
    found = effective_rank_of_variances(cross(2, math.sqrt(3), math.sqrt(2), 1) + 3).item()
    assert found == pytest.approx(3.596115, abs=1e-6)


@pytest.mark.parametrize("r", [1, 3, 6])
def test_equal_variances_are_counted(r):
    points = cross(*[1.0] * r, *[0.0] * (6 - r))
    assert effective_rank_of_variances(points + 5).item() == pytest.approx(r)
    assert effective_rank_of_variances(points, center=False).item() == pytest.approx(r)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 20), st.integers(1, 20), st.integers(0, 2**31))
def test_variances_match_the_definition(n, d, seed):
    rng = np.random.default_rng(seed)
    array = rng.normal(size=(n, d)) * rng.uniform(0.01, 3, d) + rng.normal(size=d)
    points = torch.from_numpy(array)
    centered, uncentered = (
        effective_rank_of_variances(points, center=center).item() for center in (True, False)
    )
    assert centered == pytest.approx(reference.centered_effective_rank_of_variances(array))
    assert uncentered == pytest.approx(reference.effective_rank_of_variances(array))
    shared = spectrum_from_moments(moments(points))
    assert effective_rank_of_variances_from_spectrum(shared).item() == pytest.approx(centered, rel=1e-9)
    assert centered <= effective_rank(points).item() * (1 + 1e-12)


@pytest.mark.parametrize(("n", "d"), [(8, 3), (5, 7)])
def test_gradient_of_the_eigenvalue_form(n, d):
    points = torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(effective_rank_of_variances, points.requires_grad_())


def test_without_variance_it_is_nan():
    assert effective_rank_of_variances(torch.full((5, 3), 0.1)).isnan()
    assert effective_rank_of_variances(torch.full((5, 3), 0.1), center=False).item() == pytest.approx(1)
    assert effective_rank_of_variances(torch.zeros(5, 3), center=False).isnan()
    assert effective_rank_of_variances(torch.ones(1, 3)).isnan()
    assert effective_rank_of_variances(torch.ones(0, 3)).isnan()
