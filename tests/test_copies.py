import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conescope._copies import LEADING, distinct_rows


@given(n=st.integers(0, 30), d=st.integers(1, 9), levels=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_as_torch_unique(n, d, levels, seed):
    rows = torch.randint(levels, (n, d), generator=torch.Generator().manual_seed(seed)).double()
    found, number = distinct_rows(rows)
    if n:
        expected, place = torch.unique(rows, dim=0, return_inverse=True)
        assert torch.equal(found, expected)
        assert torch.equal(number, place)
    assert torch.equal(found[number], rows)


def test_rows_that_differ_in_the_last_column_only():
    rows = torch.zeros(3, LEADING + 2)
    rows[0, -1] = 1
    found, number = distinct_rows(rows)
    assert torch.equal(found, rows[[1, 0]])
    assert number.tolist() == [1, 0, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_minus_zero_is_zero(dtype):
    rows = torch.tensor([[0.0, 1.0], [-0.0, 1.0]], dtype=dtype)
    found, number = distinct_rows(rows)
    assert found.tolist() == [[0.0, 1.0]]
    assert number.tolist() == [0, 0]
