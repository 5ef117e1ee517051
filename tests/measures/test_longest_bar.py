import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import longest_bar_ratio
from conescope.measures.longest_bar import ratio_of_longest_bar
from tests.reference import longest_bar as reference

LINE = torch.tensor([[0.0], [7], [1], [3]], dtype=torch.float64)  # bars 1, 2, 4


def test_by_hand():
    assert longest_bar_ratio(LINE).item() == 2
    # one more bar, 8: the median of 1, 2, 4, 8 is 3
    assert longest_bar_ratio(torch.cat([LINE, LINE.new_tensor([[15.0]])])).item() == pytest.approx(8 / 3)


def test_bars_may_come_in_any_order():
    assert ratio_of_longest_bar(torch.tensor([4.0, 0, 1, 2, 0], dtype=torch.float64)).item() == 2


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 14), st.integers(1, 5), st.booleans(), st.integers(0, 2**31))
def test_matches_single_linkage(n, d, repeated, seed):
    points = np.random.default_rng(seed).normal(size=(n, d))
    if repeated:
        points = np.concatenate([points, points[: n // 2]])
    found = longest_bar_ratio(torch.from_numpy(points)).item()
    assert found == pytest.approx(reference.longest_bar_ratio(points))


def test_an_outlier_stands_out_in_proportion_to_its_distance():
    grid = torch.cartesian_prod(torch.arange(5.0), torch.arange(5.0))
    assert longest_bar_ratio(grid).item() == 1
    far = torch.cat([grid, torch.tensor([[54.0, 4.0]])])
    assert longest_bar_ratio(far).item() == 50


def test_repeated_points_are_not_gaps_even_when_they_are_turned():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(20, 7, dtype=torch.float64, generator=generator)
    expected = longest_bar_ratio(points)
    nearly = torch.cat([points, points * (1 + 1e-15), points])
    torch.testing.assert_close(longest_bar_ratio(nearly), expected)


def test_without_a_positive_bar_it_is_nan():
    assert longest_bar_ratio(torch.full((5, 3), 0.1)).isnan()
    for n in (0, 1):
        assert longest_bar_ratio(torch.ones(n, 3)).isnan()
    assert longest_bar_ratio(torch.tensor([[0.0], [3.0]])).item() == 1


def test_gradient():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(7, 3, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(longest_bar_ratio, points)
    # bars 1, 2, 4: the ratio is (7 - 3) / (3 - 1)
    live = LINE.clone().requires_grad_()
    longest_bar_ratio(live).backward()
    torch.testing.assert_close(live.grad, torch.tensor([[0.0], [0.5], [1], [-1.5]], dtype=torch.float64))
