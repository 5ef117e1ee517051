"""The spectrum that measures share, against NumPy's singular values."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.measures.spectrum import (
    between_class_scatter,
    spectrum,
    spectrum_from_moments,
    spectrum_length,
    within_class_spectrum,
)
from conescope.scale import moments as module
from conescope.scale.moments import merge, moments


def normal(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def squares_of(array):
    return np.linalg.svd(array, compute_uv=False) ** 2


def proportional(found, expected, rtol=1e-10, atol=1e-13):
    """Compare shares: the unit of a spectrum is free."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(found / found.sum(), expected / expected.sum(), rtol=rtol, atol=atol)


def test_by_hand():
    # +-2 e_1 and +-1 e_2: squared singular values 8 and 2
    points = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    for found in (
        spectrum(points + 5),
        spectrum(points, center=False),
        spectrum_from_moments(moments(points)),
    ):
        assert (found.n, found.d) == (4, 2)
        assert (found.squares / found.squares.sum()).tolist() == pytest.approx([0.8, 0.2])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 15),
    st.integers(1, 15),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 2.0, 100.0]),
    st.booleans(),
)
def test_both_doors_match_the_singular_values(n, d, seed, offset, center):
    points = normal(n, d, seed) * torch.arange(1, d + 1) ** -1.0 + offset
    array = points.numpy()
    expected = squares_of(array - array.mean(axis=0) if center else array)
    for found in (spectrum(points, center=center), spectrum_from_moments(moments(points), center=center)):
        assert (found.n, found.d, len(found.squares)) == (n, d, min(n, d))
        assert (found.squares.diff() <= 0).all()
        proportional(found.squares, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("n", "d"), [(200, 6), (4, 6), (6, 6)])
@pytest.mark.parametrize("center", [True, False])
def test_spectrum_of_merged_moments_is_that_of_the_points(n, d, center, monkeypatch):
    monkeypatch.setattr(module, "PANEL", 16)
    points = normal(n, d) + 3
    found = spectrum_from_moments(merge(moments(points[:3]), moments(points[3:])), center=center)
    proportional(found.squares, spectrum(points, center=center).squares)
    assert (found.n, found.d) == (n, d)


@pytest.mark.parametrize("n", [5, 30, 20_000])
@pytest.mark.parametrize("offset", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("rank", [1, 3])
def test_empty_directions_are_exact_zeros(n, offset, rank, monkeypatch):
    monkeypatch.setattr(module, "PANEL", 64)
    turn = torch.linalg.qr(normal(8, 8, seed=1)).Q
    points = normal(n, rank) @ turn[:rank] + offset
    halves = merge(moments(points[: n // 2]), moments(points[n // 2 :]))
    for found in (spectrum(points), spectrum_from_moments(moments(points)), spectrum_from_moments(halves)):
        assert (found.squares[:rank] > 0).all()
        assert (found.squares[rank:] == 0).all()


def test_single_precision_hides_what_it_can_not_tell_from_rounding():
    weak = torch.tensor([1.0, 0.1, 3e-4])  # squares 1, 1e-2, 1e-7
    points = (normal(2000, 3) * weak).float()
    assert (spectrum_from_moments(moments(points)).squares > 0).tolist() == [True, True, True]
    single = spectrum_from_moments(moments(points, precision="single"))
    assert (single.squares > 0).tolist() == [True, True, False]


@pytest.mark.parametrize("center", [True, False])
def test_coincident_and_zero_points(center):
    points = torch.full((6, 3), 0.1)
    for found in (spectrum(points, center=center), spectrum_from_moments(moments(points), center=center)):
        assert (found.squares > 0).tolist() == [not center, False, False]
        assert torch.isfinite(found.squares).all()
    assert (spectrum(torch.zeros(6, 3), center=center).squares == 0).all()


def test_without_points():
    found = spectrum(torch.zeros(0, 3))
    assert (found.n, found.d, len(found.squares)) == (0, 3, 0)


@pytest.mark.parametrize("scale", [1e-120, 1e-30, 1e30, 1e120])
def test_unit_is_free(scale):
    points = normal(20, 4)
    for center in (True, False):
        expected = spectrum(points, center=center).squares
        proportional(spectrum(points * scale, center=center).squares, expected)
        proportional(spectrum_from_moments(moments(points * scale), center=center).squares, expected)


def test_moments_of_order_1_hold_no_spectrum():
    first = moments(normal(9, 3), torch.arange(9) % 2, order=1)
    with pytest.raises(ValueError, match="order 2"):
        spectrum_from_moments(first)
    with pytest.raises(ValueError, match="order 2"):
        within_class_spectrum(first)


# classes


def within(points, labels):
    """The points, each minus the mean of its class."""
    array = points.numpy().copy()
    for label in set(labels.tolist()):
        chosen = (labels == label).numpy()
        array[chosen] -= array[chosen].mean(axis=0)
    return array


@pytest.mark.parametrize(("n", "d"), [(60, 5), (9, 12)])
@pytest.mark.parametrize("apart", [0.0, 1.0, 100.0])
def test_within_class_spectrum(n, d, apart):
    labels = torch.arange(n) * 5 % 4
    points = normal(n, d) + apart * normal(4, d, seed=1)[labels] + 2
    found = within_class_spectrum(moments(points, labels))
    assert (found.n, found.d) == (n, d)
    proportional(found.squares, squares_of(within(points, labels)), rtol=1e-8, atol=1e-10)


def test_within_class_spectrum_of_merged_parts_with_different_classes():
    labels = torch.cat([torch.zeros(10, dtype=torch.int64), torch.arange(30) % 4])
    points = normal(40, 3) + 3 * labels[:, None]
    parts = moments(points[:10], labels[:10]), moments(points[10:], labels[10:])
    proportional(within_class_spectrum(merge(*parts)).squares, squares_of(within(points, labels)))


def test_within_class_spectrum_is_empty_where_classes_are_points():
    labels = torch.arange(12) % 3
    points = normal(3, 4)[labels]
    assert (within_class_spectrum(moments(points, labels)).squares == 0).all()
    every = torch.arange(12)
    assert (within_class_spectrum(moments(normal(12, 4), every)).squares == 0).all()
    coincident = torch.ones(12, 4)
    assert (within_class_spectrum(moments(coincident, labels)).squares == 0).all()


def test_within_class_directions_below_the_rounding_of_the_whole_are_hidden():
    # spread 1 and 1e-4 within, classes 1e6 apart: the weak square is 1e-8 / 1e12 of the whole
    labels = torch.arange(400) % 2
    points = normal(400, 3) * torch.tensor([1.0, 1.0, 1e-4])
    points[:, 0] += 1e6 * labels
    strong = within_class_spectrum(moments(points, labels)).squares > 0
    assert strong.tolist() == [True, True, False]


def test_between_class_scatter_by_hand():
    # means (1, 0), (-3, 0), sizes 3 and 1, mean of all 0: 3 * 1 + 1 * 9 = 12 in the first coordinate
    points = torch.tensor([[1.0, 1.0], [1.0, -1.0], [1.0, 0.0], [-3.0, 0.0]])
    found = between_class_scatter(moments(points, torch.tensor([0, 0, 0, 1])))
    torch.testing.assert_close(found, torch.tensor([[12.0, 0.0], [0.0, 0.0]], dtype=torch.float64))
    with pytest.raises(ValueError, match="scan with labels"):
        between_class_scatter(moments(points))


def test_scatter_is_within_plus_between():
    labels = torch.arange(50) % 7
    points = normal(50, 4) + labels[:, None]
    found = moments(points, labels)
    rows = torch.from_numpy(within(points, labels))
    torch.testing.assert_close(between_class_scatter(found) + rows.T @ rows, found.scatter)


# gradients


@pytest.mark.parametrize(("n", "d"), [(8, 3), (4, 6)])
@pytest.mark.parametrize("center", [True, False])
def test_gradient(n, d, center):
    points = (normal(n, d) + 0.5).requires_grad_()

    def shares(found):
        return found.squares[: min(n - 1, d)] / found.squares.sum()

    assert torch.autograd.gradcheck(lambda rows: shares(spectrum(rows, center=center)), points)
    assert torch.autograd.gradcheck(
        lambda rows: shares(spectrum_from_moments(moments(rows), center=center)), points
    )


def test_gradient_within_classes():
    points, labels = (normal(9, 3) + 0.5).requires_grad_(), torch.arange(9) % 2

    def shares(rows):
        squares = within_class_spectrum(moments(rows, labels)).squares
        return squares / squares.sum()

    assert torch.autograd.gradcheck(shares, points)


@pytest.mark.parametrize(("n", "d", "expected"), [(10, 3, 3), (3, 10, 2), (1, 5, 1), (0, 5, 1)])
def test_how_many_directions_a_centered_cloud_can_have(n, d, expected):
    assert spectrum_length(n, d) == expected
