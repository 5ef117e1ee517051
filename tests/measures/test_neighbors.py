import importlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures.neighbors import NEIGHBORS, neighbors
from tests.reference import neighbors as reference

# by its full name: `conescope.measures.neighbors` as an attribute is the rows of that family
MODULE = importlib.import_module("conescope.measures.neighbors")


def gaussian(n, d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, dtype=torch.float64, generator=generator)


def exact(points, k):
    """All pairs by differences, with a stable sort: for clouds too large for the reference."""
    distances = torch.linalg.vector_norm(points[:, None] - points[None], dim=2)
    distances.fill_diagonal_(torch.inf)
    found = distances.sort(dim=1, stable=True)
    return found.values[:, :k], found.indices[:, :k]


def test_four_points_on_a_line():
    # from 3: 1 is 2 away, 0 is 3 and 7 is 4
    found = neighbors(torch.tensor([[0.0], [1.0], [3.0], [7.0]], dtype=torch.float64), 2)
    assert found.indices.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    torch.testing.assert_close(
        found.distances, torch.tensor([[1.0, 3], [1, 2], [2, 3], [4, 6]], dtype=torch.float64)
    )
    assert found.d == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.integers(1, 12), st.integers(1, 45), st.integers(0, 2**31))
def test_matches_all_pairs(n, d, k, seed):
    rng = np.random.default_rng(seed)
    array = rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-3, 3, d) + rng.normal(size=d)
    distances, indices = reference.neighbors(array, k)
    found = neighbors(torch.from_numpy(array), k)
    assert np.array_equal(found.indices.numpy(), indices)
    np.testing.assert_allclose(found.distances.numpy(), distances, rtol=1e-9)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
@pytest.mark.parametrize("k", [1, 2, 20])
def test_takes_all_others_where_there_are_fewer(n, k):
    found = neighbors(torch.arange(float(n))[:, None] ** 2, k)
    assert found.distances.shape == found.indices.shape == (n, max(min(k, n - 1), 0))
    assert found.indices.dtype == torch.int64
    assert found.distances.dtype == torch.float64
    assert all(i not in row for i, row in enumerate(found.indices.tolist()))


@pytest.mark.parametrize("size", [2, 3, 5, 7])
def test_at_equal_distance_the_lower_index_comes_first(size):
    axis = torch.arange(float(size))
    points = torch.cartesian_prod(axis, axis, axis[:2]).double()
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(size))
    distances, indices = reference.neighbors(points[order].numpy(), 4)
    found = neighbors(points[order], 4)
    assert np.array_equal(found.indices.numpy(), indices)
    assert np.array_equal(found.distances.numpy(), distances)


def test_copies_are_neighbors_at_distance_zero():
    points = gaussian(12, 3).repeat(3, 1)
    found = neighbors(points, 5)
    copies = [sorted({i % 12, i % 12 + 12, i % 12 + 24} - {i}) for i in range(36)]
    assert found.indices[:, :2].tolist() == copies
    assert (found.distances[:, :2] == 0).all()
    assert (found.distances[:, 2:] > 0).all()


def test_copies_by_the_hundred():
    points = torch.cat([gaussian(1, 4).expand(300, 4), gaussian(200, 4, seed=1)])
    found = neighbors(points)
    expected, _ = exact(points, NEIGHBORS)
    torch.testing.assert_close(found.distances, expected, rtol=1e-12, atol=0)
    assert (found.distances[:300] == 0).all()
    assert (found.indices[:300] < 300).all()
    assert (found.indices != torch.arange(500)[:, None]).all()
    assert (found.indices.sort(dim=1).values.diff(dim=1) > 0).all()  # nobody twice


def test_coincident_points():
    found = neighbors(torch.full((60, 3), 0.1))
    assert (found.distances == 0).all()
    assert (found.indices.sort(dim=1).values.diff(dim=1) > 0).all()


@pytest.mark.parametrize("far", [1e3, 1e6])
def test_offset_from_the_origin(far):
    points = gaussian(200, 8) + far
    distances, indices = exact(points, NEIGHBORS)
    found = neighbors(points)
    assert torch.equal(found.indices, indices)
    torch.testing.assert_close(found.distances, distances, rtol=1e-15 * far + 1e-13, atol=0)


@pytest.mark.parametrize("exponent", [-660, -200, -20, 20, 200, 660])  # 1e-200 to 1e200
def test_unit_does_not_matter(exponent):
    points = gaussian(120, 5)
    scale = 2.0**exponent
    found, expected = neighbors(points * scale), neighbors(points)
    assert torch.equal(found.indices, expected.indices)
    ratio = found.distances / expected.distances
    torch.testing.assert_close(ratio, ratio[:1, :1].expand_as(ratio), rtol=1e-12, atol=0)


def test_an_outlier_hides_nobody():
    points = gaussian(150, 4)
    points[0] = 1e5
    distances, indices = exact(points, NEIGHBORS)
    found = neighbors(points)
    assert torch.equal(found.indices, indices)
    torch.testing.assert_close(found.distances, distances)


def tight_groups(spread):
    """Two groups far apart: their inner distances are below the resolution of float32 products."""
    points = gaussian(160, 6) * spread
    points[::2, 0] += 1
    return points


@pytest.mark.parametrize("spread", [1e-3, 1e-4, 1e-5, 1e-6])
def test_what_single_precision_ranks_wrongly_is_still_right(spread):
    points = tight_groups(spread)
    distances, indices = exact(points, NEIGHBORS)
    single = (points - points.mean(dim=0)).float()
    products = single.square().sum(dim=1) - 2 * single @ single.T
    products.fill_diagonal_(torch.inf)
    coarse = products.topk(NEIGHBORS + MODULE.SPARE, largest=False).indices
    lost = sum(len(set(row) - set(kept)) for row, kept in zip(indices.tolist(), coarse.tolist(), strict=True))
    assert lost > 0 or spread == 1e-3  # so coarse candidates alone would not do
    found = neighbors(points)
    assert torch.equal(found.indices, indices)
    torch.testing.assert_close(found.distances, distances)


@pytest.mark.parametrize("spare", [1, 2, 5])
@pytest.mark.parametrize("block", [1, 1000, 1 << 24])
def test_certificate_with_hardly_a_spare_candidate(monkeypatch, spare, block):
    monkeypatch.setattr(MODULE, "SPARE", spare)
    monkeypatch.setattr(MODULE, "BLOCK", block)
    monkeypatch.setattr(MODULE, "GATHERED", 100)
    for points in (gaussian(90, 7), tight_groups(1e-4), gaussian(90, 2) + 1e4):
        distances, indices = exact(points, 6)
        found = neighbors(points, 6)
        assert torch.equal(found.indices, indices)
        torch.testing.assert_close(found.distances, distances, rtol=1e-9, atol=0)


def test_only_what_can_not_be_certified_is_looked_at_again(monkeypatch):
    asked = []
    candidates = MODULE._candidates

    def spy(rows, queries, k, dtype):
        asked.append((dtype, len(queries)))
        return candidates(rows, queries, k, dtype)

    monkeypatch.setattr(MODULE, "_candidates", spy)
    neighbors(gaussian(300, 10))
    assert asked == [(torch.float32, 300)]
    asked.clear()
    mixed = torch.cat([gaussian(60, 10) * 1e-5 + 1, gaussian(240, 10)])
    distances, indices = exact(mixed, NEIGHBORS)
    found = neighbors(mixed)
    assert torch.equal(found.indices, indices)
    torch.testing.assert_close(found.distances, distances)
    (first, everybody), (second, some) = asked
    assert (first, everybody, second) == (torch.float32, 300, torch.float64)
    assert 60 <= some < 100  # the group, and those whose lists it fills


def test_gradient_runs_through_the_distances():
    points = gaussian(9, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: neighbors(x, 4).distances, points)
    assert not neighbors(points, 4).indices.requires_grad


def test_gradient_of_one_pair():
    # |(3, 4)| = 5 counted from both ends: the gradient is twice the unit vector
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64, requires_grad=True)
    neighbors(points).distances.sum().backward()
    torch.testing.assert_close(points.grad, torch.tensor([[-1.2, -1.6], [1.2, 1.6]], dtype=torch.float64))


def test_gradient_is_zero_between_copies():
    points = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    neighbors(points).distances.sum().backward()
    assert (points.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_narrow_points_are_compared_as_they_are(dtype):
    points = gaussian(80, 5).to(dtype)
    distances, indices = exact(points.double(), NEIGHBORS)
    found = neighbors(points)
    assert found.distances.dtype == torch.float64
    torch.testing.assert_close(found.distances, distances)
    if dtype == torch.float32:  # the narrower ones have ties, which rounding may break
        assert torch.equal(found.indices, indices)


def test_layout_in_memory_does_not_matter():
    points = gaussian(50, 8)
    expected = neighbors(points[:, ::2].contiguous())
    for same in (points[:, ::2], points[:, ::2].T.contiguous().T):
        found = neighbors(same)
        assert torch.equal(found.indices, expected.indices)
        torch.testing.assert_close(found.distances, expected.distances)


def test_refusals():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        neighbors(torch.zeros(3, 2), 0)
    points = torch.zeros(3, 2)
    points[1, 0] = torch.nan
    with pytest.raises(ValueError, match="the first in row 1"):
        neighbors(points)
