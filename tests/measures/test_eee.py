import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import eee
from conescope.measures.eee import eee_from_spectrum, isotropic_eee, least_eee
from conescope.measures.spectrum import Spectrum, spectrum_from_moments
from conescope.scale.moments import moments
from tests.reference import eee as reference


def cross(*variances):
    """Return +-sqrt(a_i) e_i, whose principal variances are in the ratio of the a_i."""
    axes = torch.diag(torch.tensor(variances, dtype=torch.float64).sqrt())
    return torch.cat([axes, -axes])


@pytest.mark.parametrize(
    ("variances", "expected"),
    [
        ((1, 1, 1, 1), 0),
        ((1, 0, 0, 0), 0.5625),  # y = 3/4, 1/2, 1/4, 0: (3/2 - 3/8) / 2 = (3/4)^2
        ((4, 3, 2, 1), 0.2125),  # y = 0.15, 0.2, 0.15, 0: (0.5 - 0.075) / 2
        ((1, 1, 0, 0), 0.4375),  # y = 1/4, 1/2, 1/4, 0: (1 - 1/8) / 2
        ((3, 1), 0.125),  # y = 1/4, 0: 1/4 - 1/8
        ((7,), 0),
    ],
)
def test_spectra_by_hand(variances, expected):
    assert eee(cross(*variances) + 3).item() == pytest.approx(expected, abs=1e-14)
    squares = torch.tensor(variances, dtype=torch.float64)
    found = eee_from_spectrum(Spectrum(squares, 2 * len(variances), len(variances)))
    assert found.item() == pytest.approx(expected, abs=1e-14)
    assert reference.eee_of_variances(list(variances)) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("d", [2, 3, 50])
def test_two_different_points_give_a_quarter(d):
    points = torch.zeros(2, d)
    points[1, 0] = 5  # p = 2: y = 1/2, 0
    assert eee(points).item() == 0.25


def test_one_direction_never_gives_one():
    line = torch.linspace(-1, 1, 9)[:, None] * torch.arange(1.0, 6)
    assert eee(line).item() == pytest.approx((4 / 5) ** 2)


@pytest.mark.parametrize("n", [2, 3, 8])
def test_few_points_have_a_least_value_above_zero(n):
    corners = torch.eye(n, dtype=torch.float64)  # a regular simplex: n - 1 equal variances, then 0
    variances = [1.0] * (n - 1) + [0.0]
    assert least_eee(n, n) == pytest.approx(reference.eee_of_variances(variances))
    assert eee(corners).item() == pytest.approx(least_eee(n, n))
    assert least_eee(n + 1, n) == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 20), st.integers(1, 20), st.integers(0, 2**31))
def test_matches_the_definition(n, d, seed):
    rng = np.random.default_rng(seed)
    array = rng.normal(size=(n, d)) * rng.uniform(0.01, 3, d) + rng.normal(size=d)
    assert eee(torch.from_numpy(array)).item() == pytest.approx(reference.eee(array), abs=1e-12)


def test_is_the_gini_coefficient_of_many_variances():
    variances = torch.rand(2000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).sort()
    squares = variances.values.flip(0)
    differences = (squares[:, None] - squares).abs().sum()
    gini = differences / (2 * 2000 * squares.sum())
    assert eee_from_spectrum(Spectrum(squares, 10**4, 2000)).item() == pytest.approx(gini.item(), abs=1e-3)


@pytest.mark.parametrize(("n", "d"), [(20, 10), (10, 100), (64, 64), (65, 64), (1000, 50), (30, 1)])
def test_isotropic_value(n, d):
    drawn = [
        eee(torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))).item()
        for seed in range(20)
    ]
    assert isotropic_eee(n, d) == pytest.approx(np.mean(drawn), rel=0.04)


def test_isotropic_value_of_no_cloud():
    assert isotropic_eee(1, 4) is None
    assert isotropic_eee(2, 4) == 0.25


@pytest.mark.parametrize(("n", "d"), [(40, 6), (6, 40)])
def test_moments_give_the_same(n, d):
    points = torch.from_numpy(np.random.default_rng(1).normal(size=(n, d)) + 9)
    torch.testing.assert_close(eee_from_spectrum(spectrum_from_moments(moments(points))), eee(points))


def test_gradient_at_a_strided_view():
    wide = torch.randn(7, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda x: eee(x[:, ::2]), wide.requires_grad_())


def test_without_spread_it_is_nan():
    assert eee(torch.full((5, 3), 0.1)).isnan()
    assert eee(torch.zeros(5, 3)).isnan()
    assert eee(torch.ones(1, 3)).isnan()
    assert eee(torch.ones(0, 3)).isnan()
