import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, silhouette_score

from conescope.measures import cluster_centered_cosine, cluster_count, cluster_isotropy_estimate, mean_cosine
from tests.reference import cluster_isotropy as reference


def blobs(count, each=40, d=10, spread=0.3, seed=0):
    """Round clusters around a far point, and which cluster each point is from."""
    generator = torch.Generator().manual_seed(seed)
    centers = 3 * torch.randn(count, d, dtype=torch.float64, generator=generator) + 20
    labels = torch.arange(count).repeat(each)
    return centers[labels] + spread * torch.randn(
        count * each, d, dtype=torch.float64, generator=generator
    ), labels


def test_four_points_by_hand():
    # two pairs, far apart: silhouettes 1 - 2 / b with b the mean of distances 10, 12 (or 10, 8), and so on;
    # centered: +-1 in each pair, cosines -1, -1 within, 1, -1, -1, 1 across: mean -1/3
    points = torch.tensor([[-1.0], [1], [9], [11]], dtype=torch.float64)
    found = cluster_isotropy_estimate(points)
    assert found.clusters.item() == 2
    assert found.labels[0] == found.labels[1] != found.labels[2] == found.labels[3]
    assert found.silhouette.item() == pytest.approx((2 * (1 - 2 / 11) + 2 * (1 - 2 / 9)) / 4)
    assert found.mean_cosine.item() == pytest.approx(-1 / 3)


@pytest.mark.parametrize("count", [2, 5, 8])
def test_separated_clusters_are_found(count):
    points, labels = blobs(count)
    found = cluster_isotropy_estimate(points)
    assert found.clusters.item() == count
    assert adjusted_rand_score(labels, found.labels) == 1
    assert found.silhouette.item() == pytest.approx(silhouette_score(points, labels))


@settings(max_examples=10, deadline=None)
@given(st.integers(3, 25), st.integers(1, 6), st.integers(0, 2**31))
def test_what_follows_the_clustering_matches_its_definition(n, d, seed):
    array = np.random.default_rng(seed).normal(size=(n, d))
    found = cluster_isotropy_estimate(torch.from_numpy(array))
    labels = found.labels.numpy()
    assert sorted(set(labels.tolist())) == list(range(int(found.clusters)))
    if found.clusters > 1:
        assert found.silhouette.item() == pytest.approx(reference.mean_silhouette(array, labels))
        assert found.silhouette >= 0.1
    sizes = np.bincount(labels)
    if sizes.min() > 1:  # a cluster of one has no direction and is left out
        assert found.mean_cosine.item() == pytest.approx(reference.cluster_centered_cosine(array, labels))


def test_a_round_cloud_is_one_cluster_and_the_measure_is_the_centered_cosine():
    points = torch.randn(300, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 4
    found = cluster_isotropy_estimate(points)
    assert found.clusters.item() == 1
    assert found.silhouette.item() < 0.1
    assert not found.labels.any()
    torch.testing.assert_close(found.mean_cosine, mean_cosine(points, center=True))


def test_a_cone_of_clusters_loses_its_cosine():
    points, _ = blobs(4)
    assert mean_cosine(points) > 0.9
    assert abs(cluster_centered_cosine(points).item()) < 0.01


def test_a_skewed_cluster_keeps_some():
    # the mean is 4: four points below and one above it; 6 pairs have cosine 1 and 4 have -1
    points = torch.tensor([[0.0], [1], [2], [3], [14]], dtype=torch.float64)
    assert cluster_centered_cosine(points, clusters=[]).item() == pytest.approx(0.2)


def test_many_points_are_sampled_and_all_get_a_cluster():
    points, labels = blobs(3, each=700, d=4)
    found = cluster_isotropy_estimate(points)
    assert found.clusters.item() == 3
    assert adjusted_rand_score(labels, found.labels) == 1
    order = torch.randperm(2100, generator=torch.Generator().manual_seed(1))
    assert torch.equal(cluster_isotropy_estimate(points[order]).labels, found.labels[order])


@pytest.mark.parametrize("seed", range(4))
def test_order_does_not_matter_even_at_equal_distances_from_the_mean(seed):
    corners = torch.cartesian_prod(*[torch.arange(2.0).double()] * 5)
    order = torch.randperm(32, generator=torch.Generator().manual_seed(seed))
    found, mixed = cluster_isotropy_estimate(corners), cluster_isotropy_estimate(corners[order])
    assert found.clusters == mixed.clusters > 1
    assert torch.equal(found.labels[order], mixed.labels)


def test_few_distinct_points_do_not_warn():
    three = torch.tensor([[0.0, 0], [9, 0], [0, 9]]).repeat(10, 1)
    found = cluster_isotropy_estimate(three)
    assert found.clusters.item() == 3
    assert found.silhouette.item() == pytest.approx(1)
    assert found.mean_cosine.isnan()  # every point is the center of its cluster


def test_few_points():
    assert cluster_count(torch.ones(0, 3)).isnan()
    assert cluster_centered_cosine(torch.ones(0, 3)).isnan()
    assert cluster_isotropy_estimate(torch.ones(0, 3)).labels.shape == (0,)
    for n in (1, 2):
        points = torch.randn(n, 3, generator=torch.Generator().manual_seed(0))
        assert cluster_count(points).item() == 1
        assert cluster_isotropy_estimate(points).silhouette.isnan()
    same = cluster_isotropy_estimate(torch.full((30, 3), 0.1))
    assert same.clusters.item() == 1
    assert same.mean_cosine.isnan()


def test_numbers_to_try():
    points, _ = blobs(5)
    assert cluster_count(points, clusters=[2, 3]).item() in (2, 3)
    assert cluster_count(points, clusters=[5]).item() == 5
    with pytest.raises(ValueError, match="at least 2, got 1"):
        cluster_count(points, clusters=range(1, 4))


def test_seed_repeats_and_no_gradient_flows():
    points, _ = blobs(3, spread=3.0)
    first, second = (cluster_isotropy_estimate(points, seed=4) for _ in range(2))
    assert torch.equal(first.labels, second.labels)
    assert not cluster_centered_cosine(points.requires_grad_()).requires_grad
