"""Single linkage against SciPy's own, and used by SciPy's tools."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cophenet, fcluster, is_monotonic, is_valid_linkage, leaves_list, linkage
from scipy.spatial.distance import pdist
from torch.testing import assert_close

from conescope.topology import dendrogram, h0_edges, h0_lengths, linkage_of_edges
from tests.topology.clouds import KINDS

seeds = st.integers(0, 2**31)
kinds = st.sampled_from(sorted(KINDS))


def cloud(kind, n, d, seed=0, dtype=torch.float64):
    return torch.from_numpy(KINDS[kind](np.random.default_rng(seed), n, d)).to(dtype)


def partitions(merges):
    """The clusters after each merge, as sets of points, read off a linkage row by row."""
    n = len(merges) + 1
    members = {point: frozenset([point]) for point in range(n)}
    levels = []
    for k, (one, other) in enumerate(merges[:, :2].astype(int).tolist()):
        members[n + k] = members.pop(one) | members.pop(other)
        levels.append(set(members.values()))
    return levels


def check_format(merges, n):
    assert merges.dtype == torch.float64
    assert merges.shape == (n - 1, 4)
    assert is_valid_linkage(merges.numpy(), throw=True)
    assert is_monotonic(merges.numpy())
    assert (merges[:, 0] < merges[:, 1]).all()
    assert merges[-1, 3] == n


def test_four_points_on_a_line():
    points = torch.tensor([[0.0], [7.0], [1.0], [3.0]])
    assert dendrogram(points).tolist() == [[0, 2, 1, 2], [3, 4, 2, 3], [1, 5, 4, 4]]


def test_fewer_than_three_points():
    for n in (0, 1):
        assert dendrogram(torch.ones(n, 3)).shape == (0, 4)
        assert dendrogram(torch.ones(n, 3)).dtype == torch.float64
    assert dendrogram(torch.tensor([[0.0, 0.0], [3.0, 4.0]])).tolist() == [[0, 1, 5, 2]]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["gaussian", "clusters", "uneven_axes"]), st.integers(2, 120), seeds)
def test_rows_are_those_of_scipy_where_nothing_is_tied(kind, n, seed):
    points = cloud(kind, n, 3, seed)
    merges = dendrogram(points)
    expected = linkage(pdist(points.numpy()), "single")
    check_format(merges, n)
    assert np.array_equal(merges[:, [0, 1, 3]].numpy(), expected[:, [0, 1, 3]])
    assert_close(merges[:, 2], torch.from_numpy(expected[:, 2]), rtol=1e-12, atol=0)
    assert partitions(merges.numpy()) == partitions(expected)
    assert_close(
        torch.from_numpy(cophenet(merges.numpy())), torch.from_numpy(cophenet(expected)), rtol=1e-12, atol=0
    )


@settings(max_examples=80, deadline=None)
@given(kinds, st.integers(2, 80), st.integers(1, 5), seeds)
def test_heights_are_those_of_scipy_always(kind, n, d, seed):
    points = cloud(kind, n, d, seed)
    merges = dendrogram(points)
    expected = torch.from_numpy(linkage(pdist(points.numpy()), "single"))
    check_format(merges, n)
    assert_close(merges[:, 2], expected[:, 2], rtol=1e-12, atol=1e-12)
    assert torch.equal(merges[:, 2], h0_lengths(points))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["grid", "duplicates"]), st.integers(2, 60), st.integers(1, 3), seeds)
def test_with_ties_the_clusters_between_two_heights_are_those_of_scipy(kind, n, d, seed):
    """Within one height the order is free; cut anywhere between two, the clusters are given."""
    points = cloud(kind, n, d, seed)
    merges, expected = dendrogram(points).numpy(), linkage(pdist(points.numpy()), "single")
    ours, theirs = partitions(merges), partitions(expected)
    last = np.append(np.diff(expected[:, 2]) > 1e-9, True)  # the last merge of its height
    assert [ours[k] for k in last.nonzero()[0]] == [theirs[k] for k in last.nonzero()[0]]


def test_copies_merge_at_zero_before_all_else():
    points = torch.tensor([[5.0], [1.0], [5.0], [1.0], [5.0]])
    merges = dendrogram(points)
    assert merges[:, 2].tolist() == [0, 0, 0, 4]
    assert partitions(merges.numpy())[2] == {frozenset([0, 2, 4]), frozenset([1, 3])}


def test_scipy_cuts_it_into_the_blobs_that_were_drawn():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (300,), generator=generator)
    centers = 20 * torch.eye(3, 8)
    points = centers[labels] + torch.randn(300, 8, generator=generator) / 2
    merges = dendrogram(points).numpy()
    for found in (fcluster(merges, 3, "maxclust"), fcluster(merges, 10.0, "distance")):
        pairs = set(zip(found.tolist(), labels.tolist(), strict=True))
        assert len(pairs) == 3  # one number a blob
    assert sorted(leaves_list(merges)) == list(range(300))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_every_number_type_gives_float64_rows_of_its_own_points(dtype):
    points = cloud("gaussian", 50, 4, dtype=dtype)
    merges = dendrogram(points.requires_grad_())
    expected = linkage(pdist(points.detach().double().numpy()), "single")
    check_format(merges, 50)
    assert not merges.requires_grad
    assert_close(merges[:, 2], torch.from_numpy(expected[:, 2]), rtol=1e-6, atol=0)


def test_from_edges_and_lengths_that_are_known():
    points = cloud("gaussian", 70, 5)
    merges = linkage_of_edges(h0_edges(points), h0_lengths(points.clone().requires_grad_()))
    assert torch.equal(merges, dendrogram(points))
    by_hand = linkage_of_edges(torch.tensor([[1, 2], [0, 1]]), torch.tensor([0.5, 3.0]))
    assert by_hand.tolist() == [[1, 2, 0.5, 2], [0, 3, 3, 3]]


def test_a_row_that_is_not_finite_is_named():
    points = cloud("gaussian", 9, 3)
    points[4, 1] = torch.nan
    with pytest.raises(ValueError, match=r"1 of 9 rows .* first in row 4"):
        dendrogram(points)
