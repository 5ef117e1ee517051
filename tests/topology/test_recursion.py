"""The loop over lists that are met keeps the bars of the table of all lists, as plain Python and compiled."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.topology import compiled, select_bars
from conescope.topology.recursion import kept_by_alpha
from tests.topology.loops import REAL, needs_numba

ARGUMENTS = {"recursive": (False, 0), "single_pass": (True, 0), "shifted": (False, 1)}


@pytest.fixture(scope="module", params=["plain", pytest.param("compiled", marks=needs_numba)])
def loop(request):
    return kept_by_alpha if request.param == "plain" else REAL(kept_by_alpha)


def test_a_barcode_by_hand(loop):
    """Of 10, 9, 8 and seven bars of 1 the published rule keeps two."""
    bars = np.array([[1.0, 10, 9, 8, 1, 1, 1, 1, 1, 1]])
    assert loop(bars, *ARGUMENTS["recursive"]).nonzero()[1].tolist() == [1, 2]


BARS = st.one_of(
    st.lists(st.floats(1e-6, 1e3), min_size=0, max_size=30),
    st.lists(st.sampled_from([0.0, 1.0, 1.0, 1.5, 7.0]), min_size=0, max_size=30),
    st.lists(st.floats(0.9, 1.0), min_size=4, max_size=60),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(BARS, min_size=1, max_size=4), st.sampled_from(sorted(ARGUMENTS)))
def test_the_bars_of_the_table(rows, rule):
    width = max(map(len, rows))
    bars = torch.tensor([row + [0.0] * (width - len(row)) for row in rows], dtype=torch.float64)
    expected = select_bars(bars, rule)
    for function in (kept_by_alpha, REAL(kept_by_alpha)):
        if function is not None:
            found = function(bars.numpy(), *ARGUMENTS[rule])
            assert found.tolist() == expected.tolist()


@needs_numba
@pytest.mark.parametrize("rule", [*sorted(ARGUMENTS), "relative_entropy", None])
@pytest.mark.parametrize("shape", [(7,), (3, 40), (2, 3, 15), (0, 9), (4, 0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bars_with_a_gradient_are_selected_alike(monkeypatch, rule, shape, dtype):
    bars = torch.rand(shape, generator=torch.Generator().manual_seed(0)).square().to(dtype)
    expected = select_bars(bars, rule)
    monkeypatch.setattr(compiled, "compiled", REAL)
    found = select_bars(bars.requires_grad_(), rule)
    assert torch.equal(found, expected)
    assert not found.requires_grad


@needs_numba
def test_bars_that_are_not_finite_end(monkeypatch):
    bars = torch.tensor([[math.nan, 1, 2, 3, 4, 5], [math.inf, 1, 2, 3, 4, 5], [math.nan] * 6]).double()
    kept = REAL(kept_by_alpha)(bars.numpy(), False, 0)
    assert kept.shape == (3, 6)
    assert not kept[2].any()
