import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import isoscore, isoscore_from_covariance
from tests.reference import isoscore as reference


@pytest.mark.parametrize(
    ("spectrum", "expected"),
    [
        ((1, 1, 1, 1), 1),
        ((1, 0, 0, 0), 0),
        ((1, 1, 0, 0), 1 / 3),
        ((4, 3, 2, 1), 7 / 9),  # PR = 100 / 30
        ((10, 1, 1), 0.205882),  # PR = 144 / 102
    ],
)
def test_spectra_by_hand(spectrum, expected):
    covariance = torch.diag(torch.tensor(spectrum, dtype=torch.float64))
    assert isoscore_from_covariance(covariance).item() == pytest.approx(expected, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(3, 50), st.integers(0, 2**31))
def test_matches_the_paper(dim, n, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, dim)) * rng.uniform(0.01, 3, dim)
    assert isoscore(torch.from_numpy(points)).item() == pytest.approx(reference.isoscore(points), abs=1e-10)


@pytest.mark.parametrize(("n", "d"), [(5, 40), (40, 5), (8, 8)])
def test_points_and_their_covariance_agree(n, d):
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(n, d)) + 2)
    torch.testing.assert_close(isoscore(points), isoscore_from_covariance(torch.cov(points.T)))


@pytest.mark.parametrize("k", [1, 4, 10])
def test_even_use_of_k_dimensions(k):
    covariance = torch.diag((torch.arange(10) < k).double())
    assert isoscore_from_covariance(covariance).item() == pytest.approx((k - 1) / 9)
    axes = torch.eye(10, dtype=torch.float64)[:k]
    assert isoscore(torch.cat([axes, -axes]) + 3).item() == pytest.approx((k - 1) / 9)


def test_few_points_in_many_dimensions_make_no_matrix_of_d_squared():
    points = torch.zeros(2, 10**6)  # d x d would be 8 TB
    points[0, 0], points[1, 5] = 1, 1
    assert isoscore(points).item() == 0


@pytest.mark.parametrize("scale", [1e-200, 1, 1e200])
def test_covariance_of_any_unit(scale):
    covariance = torch.diag(torch.tensor([4, 3, 2, 1], dtype=torch.float64)) * scale
    assert isoscore_from_covariance(covariance).item() == pytest.approx(7 / 9)


def test_gradient_through_the_covariance():
    root = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda r: isoscore_from_covariance(r.T @ r), root.requires_grad_())


def test_without_directions_to_compare_it_is_nan():
    assert isoscore(torch.full((5, 3), 0.1)).isnan()
    assert isoscore(torch.arange(5.0)[:, None]).isnan()
    assert isoscore(torch.ones(1, 3)).isnan()
    assert isoscore(torch.ones(0, 3)).isnan()
    assert isoscore_from_covariance(torch.zeros(3, 3)).isnan()
    assert isoscore_from_covariance(torch.ones(1, 1)).isnan()
