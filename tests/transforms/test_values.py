"""What each fix computes, against NumPy, scikit-learn, and worked points."""

import numpy as np
import pytest
from sklearn.covariance import oas as sklearn_oas
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from conescope.transforms import AllButTheTop, Centering, ClusterAllButTheTop, Standardizing, Whitening


def cloud(n=80, d=7, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, d)) @ generator.normal(size=(d, d)) + 5


def deficient():
    """40 points of a plane of 3 dimensions in 9."""
    generator = np.random.default_rng(3)
    return generator.normal(size=(40, 3)) @ generator.normal(size=(3, 9)) + 2


def test_centering_by_hand():
    fix = Centering().fit([[1.0, 4.0], [3.0, 0.0]])
    np.testing.assert_array_equal(fix.mean_, [2, 2])
    np.testing.assert_array_equal(fix.transform([[0.0, 0.0]]), [[-2, -2]])
    np.testing.assert_array_equal(fix.inverse_transform([[-2.0, -2.0]]), [[0, 0]])


def test_standardizing_is_that_of_scikit_learn():
    points = cloud()
    points[:, 2] = 1 / 3  # does not vary
    fix, scaler = Standardizing().fit(points), StandardScaler().fit(points)
    np.testing.assert_allclose(fix.transform(points), scaler.transform(points), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(fix.inverse_transform(fix.transform(points)), points, rtol=1e-12)
    assert fix.scale_[2] == 1


@pytest.mark.parametrize("kind", ["pca", "zca"])
def test_the_whitened_covariance_is_the_identity(kind):
    points = cloud()
    fix = Whitening(kind=kind).fit(points)
    np.testing.assert_allclose(np.cov(fix.transform(points).T), np.eye(7), atol=1e-9)
    np.testing.assert_allclose(fix.transform(points).mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(fix.inverse_transform(fix.transform(points)), points, rtol=1e-9)


@pytest.mark.parametrize("components", [None, 3])
def test_pca_whitening_is_that_of_scikit_learn(components):
    points = cloud()
    found = Whitening(n_components=components).fit(points)
    expected = PCA(components, whiten=True, svd_solver="full").fit(points)
    ours, theirs = found.transform(points), expected.transform(points)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours * np.sign((ours * theirs).sum(0)), theirs, atol=1e-8)
    np.testing.assert_allclose(
        found.inverse_transform(ours), expected.inverse_transform(theirs), rtol=1e-8, atol=1e-8
    )


def test_zca_is_the_nearest_whitening():
    points = cloud()
    centered = points - points.mean(0)
    zca = Whitening(kind="zca").fit_transform(points)
    matrix = np.linalg.lstsq(centered, zca, rcond=None)[0]
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-9)  # the inverse root of the covariance
    assert np.linalg.eigvalsh(matrix).min() > 0
    generator = np.random.default_rng(1)
    for _ in range(20):
        turn = np.linalg.qr(generator.normal(size=(7, 7)))[0]
        assert ((zca @ turn - centered) ** 2).sum() > ((zca - centered) ** 2).sum()


def test_shrinkage_and_softness_by_definition():
    points, share, soft = cloud(), 0.3, 0.5
    values, vectors = np.linalg.eigh(np.cov(points.T))
    shrunk = (1 - share) * values + share * values.mean()
    root = vectors @ np.diag(shrunk ** (-soft / 2)) @ vectors.T
    found = Whitening("zca", shrinkage=share, softness=soft).fit_transform(points)
    np.testing.assert_allclose(found, (points - points.mean(0)) @ root, atol=1e-9)
    turned = Whitening(softness=0.0).fit_transform(points)
    np.testing.assert_allclose(turned @ turned.T, (points - points.mean(0)) @ (points - points.mean(0)).T)


@pytest.mark.parametrize(("n", "d"), [(80, 7), (10, 30), (500, 3)])
def test_oas_is_that_of_scikit_learn(n, d):
    points = cloud(n, d)
    assert Whitening(shrinkage="oas").fit(points).shrinkage_ == pytest.approx(sklearn_oas(points)[1])


def test_directions_without_variance_are_dropped():
    points = deficient()
    fix = Whitening().fit(points)
    assert fix.transform(points).shape == (40, 3)
    np.testing.assert_allclose(np.cov(fix.transform(points).T), np.eye(3), atol=1e-9)
    np.testing.assert_allclose(fix.inverse_transform(fix.transform(points)), points, rtol=1e-9)
    zca = Whitening("zca").fit_transform(points)
    assert zca.shape == (40, 9)
    np.testing.assert_allclose(np.linalg.eigvalsh(np.cov(zca.T)), [0] * 6 + [1] * 3, atol=1e-9)
    assert Whitening(shrinkage=0.1).fit_transform(points).shape == (40, 9)
    single = Whitening().fit_transform(points.astype("float32"))
    assert single.shape == (40, 3)  # the rounding of float32 is no direction


def test_fewer_points_than_dimensions():
    points = cloud(5, 30)
    found = Whitening().fit_transform(points)
    assert found.shape == (5, 4)
    np.testing.assert_allclose(np.cov(found.T), np.eye(4), atol=1e-9)
    np.testing.assert_allclose(AllButTheTop(4).fit_transform(points), 0, atol=1e-9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"n_components": 4},
            r"whole number from 1 to 3, since the points vary in so many directions, got 4",
        ),
        ({"n_components": 0}, "got 0"),
        ({"n_components": True}, "got True"),
        ({"kind": "cca"}, "kind must be 'pca' or 'zca', got 'cca'"),
        ({"shrinkage": 1.5}, "shrinkage must be a number from 0 to 1, or 'oas', got 1.5"),
        ({"shrinkage": "lw"}, "or 'oas', got 'lw'"),
        ({"softness": -1}, "softness must be a number from 0 to 1, got -1"),
    ],
)
def test_settings_that_do_not_fit(settings, message, without_shape_checks):
    with pytest.raises(ValueError, match=message):
        Whitening(**settings).fit(deficient())


def test_equal_points_can_not_be_whitened():
    with pytest.raises(ValueError, match="all are equal"):
        Whitening().fit(np.full((5, 3), 0.1))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_all_but_the_top_by_singular_vectors(count):
    points = cloud()
    centered = points - points.mean(0)
    top = np.linalg.svd(centered)[2][:count]
    found = AllButTheTop(count).fit(points)
    np.testing.assert_allclose(found.transform(points), centered - centered @ top.T @ top, atol=1e-9)
    assert found.components_.shape == (count, 7)


@pytest.mark.parametrize(("d", "count"), [(1, 0), (2, 1), (49, 1), (151, 2), (300, 3)])
def test_how_many_directions_auto_takes(d, count):
    points = np.random.default_rng(0).normal(size=(20, d))
    assert len(AllButTheTop().fit(points).components_) == count


@pytest.mark.parametrize("count", [7, -1, 1.5, True])
def test_directions_that_leave_nothing(count, without_shape_checks):
    with pytest.raises(ValueError, match="whole number from 0 to 6, since of n_features = 7 one must stay"):
        AllButTheTop(count).fit(cloud())
    with pytest.raises(ValueError, match="whole number from 0 to 6"):
        ClusterAllButTheTop(2, count).fit(cloud())


def clusters():
    generator = np.random.default_rng(5)
    spread = generator.normal(size=(90, 4)) * [3, 1, 1, 0.5]
    return spread + np.repeat([[0, 0, 0, 0], [50, 0, 0, 9], [0, 80, 0, 0]], 30, axis=0)


def test_clusters_by_definition():
    points = clusters()
    fix = ClusterAllButTheTop(3, 2, random_state=0).fit(points)
    expected = []
    for part in np.split(points, 3):
        centered = part - part.mean(0)
        top = np.linalg.svd(centered)[2][:2]
        expected.append(centered - centered @ top.T @ top)
    np.testing.assert_allclose(fix.transform(points), np.concatenate(expected), atol=1e-9)
    assert fix.removed_.tolist() == [2, 2, 2]


def test_one_cluster_is_all_but_the_top():
    points = cloud()
    found = ClusterAllButTheTop(1, 2, random_state=0).fit_transform(points)
    np.testing.assert_allclose(found, AllButTheTop(2).fit_transform(points), atol=1e-9)


def test_small_clusters_are_not_emptied():
    points = np.concatenate(
        [clusters(), [[1000.0, 0, 0, 0]], [[0, 0, 1000.0, 0], [0, 1, 1000, 0], [1, 0, 1003, 0]]]
    )
    fix = ClusterAllButTheTop(5, 3, random_state=0).fit(points)
    found = fix.transform(points)
    assert sorted(fix.removed_.tolist()) == [0, 1, 3, 3, 3]
    np.testing.assert_array_equal(found[90], 0)  # a cluster of one is its mean
    assert np.linalg.norm(found[91:], axis=1).max() > 0.1


def test_more_clusters_than_points():
    with pytest.raises(ValueError, match=r"n_samples = 80, got 81; take fewer clusters"):
        ClusterAllButTheTop(81, 1).fit(cloud())


def test_copies_leave_clusters_empty():
    points = np.repeat(clusters()[[0, 40]], 5, axis=0)
    with pytest.warns(Warning, match="distinct clusters"):
        fix = ClusterAllButTheTop(3, 1, random_state=0).fit(points)
    np.testing.assert_allclose(fix.transform(points), 0, atol=1e-9)
