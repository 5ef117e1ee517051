import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import (
    effective_rank,
    effective_rank_of_variances,
    isoscore,
    participation_ratio,
    stable_rank,
)
from conescope.measures.participation_ratio import participation_ratio_from_spectrum
from conescope.measures.spectrum import spectrum
from tests.reference import participation_ratio as reference


def cross(*variances):
    """Return +-a_i e_i with mean 0, whose squared singular values are 2 a_i^2 = 2 lam_i."""
    axes = torch.diag(torch.tensor(variances, dtype=torch.float64).sqrt())
    return torch.cat([axes, -axes])


def cloud(n, d, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * rng.uniform(0.01, 3, d) + rng.normal(size=d)


@pytest.mark.parametrize(
    ("variances", "expected"),
    [
        ((4, 3, 2, 1), 10 / 3),  # 10^2 / (16 + 9 + 4 + 1)
        ((10, 1, 1), 144 / 102),  # 12^2 / (100 + 1 + 1)
        ((1, 0, 0, 0), 1),
        ((1, 1, 0, 0), 2),
        ((1, 1, 1, 1), 4),
    ],
)
def test_eigenvalues_by_hand(variances, expected):
    assert participation_ratio(cross(*variances) + 5).item() == pytest.approx(expected, rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 20), st.integers(1, 20), st.integers(0, 2**31))
def test_matches_the_definition(n, d, seed):
    array = cloud(n, d, seed)
    points = torch.from_numpy(array)
    assert participation_ratio(points).item() == pytest.approx(reference.participation_ratio(array))
    assert participation_ratio_from_spectrum(spectrum(points)).item() == pytest.approx(
        participation_ratio(points).item(), rel=1e-9
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 20), st.integers(2, 20), st.integers(0, 2**31))
def test_counts_stand_in_their_order(n, d, seed):
    points = torch.from_numpy(cloud(n, d, seed))
    counts = [
        count(points).item()
        for count in (stable_rank, participation_ratio, effective_rank_of_variances, effective_rank)
    ]
    assert counts == pytest.approx(sorted(counts), rel=1e-12)


def test_isoscore_is_its_rescaled_form():
    points = torch.from_numpy(cloud(30, 7, 1))
    torch.testing.assert_close(isoscore(points), (participation_ratio(points) - 1) / 6)


@pytest.mark.parametrize(("n", "d"), [(8, 3), (5, 7)])
def test_gradient(n, d):
    points = torch.from_numpy(cloud(n, d, 2)).requires_grad_()
    assert torch.autograd.gradcheck(participation_ratio, points)


def test_one_dimension_and_a_pair_of_points_are_one_direction():
    assert participation_ratio(torch.tensor([[1.0], [2.0], [5.0]])).item() == 1
    assert participation_ratio(torch.tensor([[1.0, 2.0, 3.0], [4.0, 0.0, 1.0]])).item() == pytest.approx(1)


def test_without_spread_it_is_nan():
    for points in (torch.full((5, 3), 0.1), torch.zeros(5, 3), torch.ones(1, 3), torch.ones(0, 3)):
        assert participation_ratio(points).isnan()
        assert participation_ratio_from_spectrum(spectrum(points)).isnan()


def test_what_is_no_finite_cloud_is_refused():
    with pytest.raises(ValueError, match="the first in row 1"):
        participation_ratio(torch.tensor([[1.0, 2.0], [torch.nan, 0.0], [3.0, 1.0]]))


def test_shapes_are_refused_in_words(without_shape_checks):
    with pytest.raises(ValueError, match=r"shape \(n, d\).*got \(5,\)"):
        participation_ratio(torch.zeros(5))
    with pytest.raises(TypeError, match=r"floating point, got torch\.int64"):
        participation_ratio(torch.ones(5, 2, dtype=torch.int64))
