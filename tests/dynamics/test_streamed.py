import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conescope.dynamics.streamed import merged, streamed


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 10_000), st.sampled_from([0.0, 50.0])
)
def test_parts_in_any_split_have_count_mean_and_scatter_of_all(sizes, seed, offset):
    points = np.random.default_rng(seed).normal(offset, 1, (sum(sizes), 6))
    found = None
    for part in np.split(points, np.cumsum(sizes)[:-1]):
        one = streamed(torch.from_numpy(part))
        found = one if found is None else merged(found, one)
    away = points - points.mean(axis=0)
    assert found.n == len(points)
    np.testing.assert_allclose(found.mean, points.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.scatter, away.T @ away, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_narrow_inputs_are_summed_in_float64(dtype):
    """A mean a thousand times the spread does not drown the scatter."""
    torch.manual_seed(0)
    points = (torch.randn(500, 8) + 64).to(dtype)
    found = streamed(points)
    away = points.double() - points.double().mean(dim=0)
    assert found.scatter.dtype == found.mean.dtype == torch.float64
    torch.testing.assert_close(found.mean, points.double().mean(dim=0), rtol=1e-12, atol=0)
    torch.testing.assert_close(found.scatter, away.T @ away, rtol=0, atol=1e-5 * float((away.T @ away).max()))


def test_one_point_has_no_scatter():
    found = streamed(torch.tensor([[1.0, 2.0]]))
    assert (found.n, found.mean.tolist(), found.scatter.abs().max().item()) == (1, [1.0, 2.0], 0.0)
