import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures import isoscore, isoscore_star, participation_ratio
from conescope.measures.isoscore_star import isoscore_star_from_spectrum
from conescope.measures.spectrum import spectrum_from_moments
from conescope.scale.moments import moments
from tests.reference import isoscore_star as reference


def cross(*variances):
    """Return +-a_i e_i whose covariance, divided by n - 1 = 2d - 1, is diag(variances)."""
    count = 2 * len(variances)
    axes = torch.diag((torch.tensor(variances, dtype=torch.float64) * (count - 1) / 2).sqrt())
    return torch.cat([axes, -axes])


def identity(d):
    return torch.eye(d, dtype=torch.float64)


def cloud(n, d, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * rng.uniform(0.01, 3, d) + rng.normal(size=d)


def test_eigenvalues_4_3_2_1_towards_the_identity():
    # 0.8 (4, 3, 2, 1) + 0.2 = (3.4, 2.6, 1.8, 1): sum 8.8, squares 22.56, PR 77.44 / 22.56
    points = cross(4, 3, 2, 1) + 2
    found = isoscore_star(points, zeta=0.2, reference=identity(4)).item()
    assert found == pytest.approx((77.44 / 22.56 - 1) / 3, rel=1e-12)
    assert found == pytest.approx(0.810875, abs=1e-6)
    assert isoscore_star(points, zeta=1.0, reference=identity(4)).item() == pytest.approx(1)


def test_eigenvalues_4_3_2_1_towards_their_own_mean():
    # 0.8 (4, 3, 2, 1) + 0.2 * 2.5 = (3.7, 2.9, 2.1, 1.3): sum 10, squares 28.2
    expected = (100 / 28.2 - 1) / 3
    points = cross(4, 3, 2, 1) + 2
    assert isoscore_star(points).item() == pytest.approx(expected, rel=1e-12)
    assert isoscore_star(points * 7).item() == pytest.approx(expected, rel=1e-12)
    assert isoscore_star(points, reference=2.5 * identity(4)).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("zeta", [0.0, 0.2, 0.75, 1.0])
def test_a_line_in_ten_dimensions(zeta):
    kept = (1 - zeta) ** 2
    line = torch.outer(torch.arange(6.0), torch.arange(1.0, 11.0))
    assert isoscore_star(line, zeta=zeta).item() == pytest.approx((1 - kept) / (1 + 9 * kept), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 20), st.integers(2, 20), st.floats(0, 1), st.integers(0, 2**31))
def test_matches_the_paper(n, d, zeta, seed):
    array = cloud(n, d, seed)
    other = np.cov(cloud(30, d, seed + 1).T)
    points = torch.from_numpy(array)
    found = isoscore_star(points, zeta=zeta, reference=torch.from_numpy(other)).item()
    assert found == pytest.approx(reference.isoscore_star(array, other, zeta), abs=1e-9)
    even = np.eye(d) * np.trace(np.cov(array.T)) / d
    found = isoscore_star(points, zeta=zeta).item()
    assert found == pytest.approx(reference.isoscore_star(array, even, zeta), abs=1e-9)
    shared = spectrum_from_moments(moments(points))
    assert isoscore_star_from_spectrum(shared, zeta=zeta).item() == pytest.approx(found, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 20), st.integers(2, 20), st.floats(0, 1), st.integers(0, 2**31))
def test_closed_form(n, d, zeta, seed):
    points = torch.from_numpy(cloud(n, d, seed))
    kept = (1 - zeta) ** 2
    participation = 1 / (kept / participation_ratio(points).item() + (1 - kept) / d)
    assert isoscore_star(points, zeta=zeta).item() == pytest.approx((participation - 1) / (d - 1), abs=1e-12)


def test_without_shrinkage_it_is_isoscore():
    points = torch.from_numpy(cloud(9, 5, 1))
    torch.testing.assert_close(isoscore_star(points, zeta=0.0), isoscore(points))
    torch.testing.assert_close(isoscore_star(points, zeta=0.0, reference=identity(5)), isoscore(points))


def test_a_fixed_reference_makes_small_clouds_look_isotropic():
    points = cross(4, 3, 2, 1)
    assert isoscore_star(points * 1e-3, reference=identity(4)).item() > 0.9999
    assert isoscore_star(points * 1e3, reference=identity(4)).item() == pytest.approx(7 / 9, abs=1e-5)


@pytest.mark.parametrize(("n", "d"), [(8, 3), (5, 7)])
def test_gradient(n, d):
    points = torch.from_numpy(cloud(n, d, 2)).requires_grad_()
    other = torch.cov(torch.from_numpy(cloud(30, d, 3)).T).requires_grad_()
    assert torch.autograd.gradcheck(isoscore_star, points)
    assert torch.autograd.gradcheck(lambda x, c: isoscore_star(x, zeta=0.4, reference=c), (points, other))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_of_the_points_is_kept_whatever_the_reference(dtype):
    points = torch.from_numpy(cloud(20, 4, 4)).to(dtype)
    exact = isoscore_star(points.double(), reference=identity(4))
    for other in (identity(4), torch.eye(4)):
        found = isoscore_star(points, reference=other)
        assert found.dtype == dtype
        assert found == exact.to(dtype)


def test_coincident_points():
    points = torch.full((5, 3), 0.1)
    assert isoscore_star(points).isnan()
    assert isoscore_star(points, zeta=0.0, reference=torch.eye(3)).isnan()
    # the covariance is exactly 0, so only the reference speaks
    skew = torch.diag(torch.tensor([1.0, 1.0, 0.0]))
    assert isoscore_star(points, reference=skew).item() == pytest.approx(0.5)
    assert isoscore_star(points, reference=torch.zeros(3, 3)).isnan()


@pytest.mark.parametrize("reference", [None, "identity"])
def test_undefined(reference):
    for n, d in ((0, 3), (1, 3), (5, 1)):
        points = torch.arange(n * d, dtype=torch.float32).reshape(n, d).requires_grad_()
        found = isoscore_star(points, reference=torch.eye(d) if reference else None)
        assert found.isnan()
        assert found.requires_grad


def test_options_that_can_not_be(without_shape_checks):
    points = torch.from_numpy(cloud(9, 3, 5))
    for zeta in (-0.1, 1.1, float("nan")):
        for other in (None, identity(3)):
            with pytest.raises(
                ValueError, match=r"zeta is the weight of the reference, between 0 and 1, got"
            ):
                isoscore_star(points, zeta=zeta, reference=other)
    with pytest.raises(ValueError, match=r"reference is a covariance of shape \(3, 3\).*got shape \(4, 4\)"):
        isoscore_star(points, reference=identity(4))
    with pytest.raises(ValueError, match="reference must be finite"):
        isoscore_star(points, reference=identity(3) * torch.nan)
    points[2, 1] = torch.nan
    for other in (None, identity(3)):
        with pytest.raises(ValueError, match="the first in row 2"):
            isoscore_star(points, reference=other)
