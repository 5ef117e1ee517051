import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import anisotropy, stable_rank
from conescope.measures.spectrum import spectrum
from conescope.measures.stable_rank import stable_rank_from_spectrum
from tests.reference import stable_rank as reference


def cross(*variances):
    axes = torch.diag(torch.tensor(variances, dtype=torch.float64).sqrt())
    return torch.cat([axes, -axes])


@pytest.mark.parametrize(
    ("variances", "expected"),
    [((4, 3, 2, 1), 2.5), ((10, 1, 1), 1.2), ((1, 0, 0), 1), ((2, 2, 0), 2), ((3, 3, 3), 3)],
)
def test_sum_over_the_largest_by_hand(variances, expected):
    assert stable_rank(cross(*variances) + 7).item() == pytest.approx(expected, rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 20), st.integers(1, 20), st.integers(0, 2**31))
def test_matches_the_norms(n, d, seed):
    rng = np.random.default_rng(seed)
    array = rng.normal(size=(n, d)) * rng.uniform(0.01, 3, d) + rng.normal(size=d)
    points = torch.from_numpy(array)
    assert stable_rank(points).item() == pytest.approx(reference.centered_stable_rank(array))
    assert stable_rank(points, center=False).item() == pytest.approx(reference.stable_rank(array))
    assert stable_rank_from_spectrum(spectrum(points)).item() == stable_rank(points).item()


@pytest.mark.parametrize("center", [True, False])
def test_is_the_inverse_of_anisotropy(center):
    points = torch.randn(20, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1
    product = stable_rank(points, center=center) * anisotropy(points, center=center)
    assert product.item() == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize(("n", "d"), [(8, 3), (5, 7)])
def test_gradient(n, d):
    points = torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(stable_rank, points.requires_grad_())


def test_without_spread_it_is_nan():
    assert stable_rank(torch.full((5, 3), 0.1)).isnan()
    assert stable_rank(torch.full((5, 3), 0.1), center=False).item() == pytest.approx(1)
    assert stable_rank(torch.zeros(5, 3), center=False).isnan()
    assert stable_rank(torch.ones(1, 3)).isnan()
    assert stable_rank(torch.ones(0, 3)).isnan()


def test_one_dimension_is_one_direction():
    assert stable_rank(torch.tensor([[1.0], [2.0], [5.0]])).item() == pytest.approx(1)
