import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import effective_rank, rankme
from conescope.measures.rankme import rankme_from_spectrum
from conescope.measures.spectrum import spectrum_from_moments
from conescope.scale.moments import moments
from tests.reference import rankme as reference


def test_two_even_directions_by_hand():
    # p = 1/2 + 1e-7 twice, so RankMe = exp(-2 p ln p)
    p = 0.5 + 1e-7
    points = torch.eye(2, dtype=torch.float64) * 3
    assert rankme(points).item() == pytest.approx(math.exp(-2 * p * math.log(p)), rel=1e-14)


def test_empty_directions_have_a_share_too():
    # one direction of five: p = 1 + 1e-7 and four times 1e-7, whose entropy is 4e-7 ln 1e7
    points = torch.zeros(8, 5, dtype=torch.float64)
    points[:, 2] = torch.arange(8)
    entropy = -(1 + 1e-7) * math.log(1 + 1e-7) + 4e-7 * math.log(1e7)
    assert math.log(rankme(points).item()) == pytest.approx(entropy, rel=1e-7)
    # of three points there are three directions at most: two empty ones
    entropy = -(1 + 1e-7) * math.log(1 + 1e-7) + 2e-7 * math.log(1e7)
    assert math.log(rankme(points[:3]).item()) == pytest.approx(entropy, rel=1e-7)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**31))
def test_matches_the_paper(n, d, rank, seed):
    rng = np.random.default_rng(seed)
    array = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, d)) * rng.uniform(0.1, 3, d)
    array += rng.normal(size=d) * rng.integers(2)
    points = torch.from_numpy(array)
    assert rankme(points).item() == pytest.approx(reference.rankme(array), rel=1e-5)
    if rank >= min(n, d):  # no singular value below the resolution of the shared spectrum
        assert rankme(points).item() == pytest.approx(reference.rankme(array), rel=1e-8)
    shared = spectrum_from_moments(moments(points), center=False)
    assert rankme_from_spectrum(shared).item() == pytest.approx(rankme(points).item(), rel=1e-7)


def test_differs_from_the_uncentered_effective_rank_by_the_constant():
    points = torch.randn(50, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1
    without = effective_rank(points, center=False).item()
    # d entropy = -(1 + ln p) eps for each share p
    shares = torch.linalg.svdvals(points) / torch.linalg.svdvals(points).sum()
    shift = -1e-7 * (1 + shares.log()).sum().item()
    assert rankme(points).item() / without - 1 == pytest.approx(shift, rel=1e-4)


def test_a_common_mean_lowers_it():
    points = torch.randn(200, 16, generator=torch.Generator().manual_seed(0))
    assert rankme(points + 100).item() < 2 < 15 < rankme(points).item()


@pytest.mark.parametrize(("n", "d"), [(8, 3), (5, 7)])
def test_gradient(n, d):
    points = torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert torch.autograd.gradcheck(rankme, points.requires_grad_())


def test_gradient_is_finite_where_directions_are_empty():
    points = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    points[:, 2:] = 0
    points.requires_grad_()
    rankme(points).backward()
    assert torch.isfinite(points.grad).all()
    assert (points.grad[:, :2] != 0).all()
    torch.testing.assert_close(points.grad[:, 2:], torch.zeros(9, 2, dtype=torch.float64))


def test_without_length_it_is_nan():
    assert rankme(torch.zeros(5, 3)).isnan()
    assert rankme(torch.ones(0, 3)).isnan()
    assert rankme(torch.full((1, 3), 0.1)).item() == pytest.approx(1, abs=1e-6)
    assert rankme(torch.full((5, 3), 0.1)).item() == pytest.approx(1, abs=1e-5)


def test_nan_is_refused_with_its_row():
    with pytest.raises(ValueError, match="the first in row 0"):
        rankme(torch.tensor([[torch.inf, 2.0], [0.0, 1.0]]))
