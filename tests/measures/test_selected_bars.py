import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import selected_bars
from conescope.measures.persistent_entropy import bars
from conescope.measures.selected_bars import count_of_selected_bars
from tests.reference import longest_bar, selection


def line(*gaps):
    """Points on a line with these gaps, which are their bars."""
    return torch.tensor([0.0, *gaps], dtype=torch.float64).cumsum(0)[:, None]


# by the rule of the published code, worked step by step
WORKED = [
    ((10, 9, 8, *[1] * 7), 2),  # n = 10: i = 3 > Q = 2; n = 5: i = 2 > Q = 1; n = 4: i = 1: 10 and 9
    ((10, 1.3, 1.2, 1.1, 1, 0.9, 0.8, 0.7), 2),
    ((3, 1, 1, 1), 2),
    ((4, 4, 4, 4, 1, 1), 3),
    ((2, 1.9, 1.8, 1.7, 1.2, 1.1, 1.1, 1, 1, 0.9, 0.9, 0.8), 6),
    ((10, 9, 8, 7.5, *[5] * 12), 5),
    ((3, 1, 1), 3),  # three or fewer: all
]


@pytest.mark.parametrize(("gaps", "kept"), WORKED)
def test_worked_examples(gaps, kept):
    assert selected_bars(line(*gaps)).item() == kept
    assert selected_bars(line(*reversed(gaps))).item() == kept
    assert count_of_selected_bars(torch.tensor(gaps, dtype=torch.float64)).item() == kept


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 14), st.integers(1, 5), st.integers(0, 2**31))
def test_matches_the_rule_on_the_merges_of_single_linkage(n, d, seed):
    points = np.random.default_rng(seed).normal(size=(n, d))
    expected = sum(selection.recursive(longest_bar.bars(points)))
    assert selected_bars(torch.from_numpy(points)).item() == expected


def test_repeated_points_change_nothing_and_equal_bars_all_stay():
    points = line(10, 9, 8, *[1] * 7)
    assert selected_bars(torch.cat([points, points[3:]])).item() == 2
    assert selected_bars(line(*[1] * 9)).item() == 9
    assert selected_bars(torch.full((5, 3), 0.1)).item() == 0


@pytest.mark.parametrize(("n", "undefined"), [(0, True), (1, True), (2, False)])
def test_without_a_bar_it_is_nan(n, undefined):
    assert bool(selected_bars(torch.arange(float(n))[:, None]).isnan()) == undefined


def test_it_has_no_gradient_and_is_the_count_of_the_shared_bars():
    points = torch.randn(40, 6, requires_grad=True, generator=torch.Generator().manual_seed(0))
    found = selected_bars(points)
    assert not found.requires_grad
    assert found == count_of_selected_bars(bars(points))
