"""The frames of a step and what gradients have in them, by explicit frames of all dimensions in float64."""

import pytest
import torch

from conescope.dynamics import energy, random_frames
from conescope.dynamics.anisotropy_share import isoscore_star_without, row_scatter
from conescope.dynamics.null_energies import (
    Few,
    Many,
    evenness_without,
    expected_squares,
    form_of,
    null_energies,
    square_root,
)
from conescope.dynamics.null_frames import NullFrames, beside, haar_block


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def planted(o, d, k, rank=None, tangent=30.0):
    """A gradient with a mean and most of its energy in k axes, and a basis near them."""
    rows = torch.randn(o, d, generator=seeded(1), dtype=torch.float64)
    if rank is not None:
        rows = rows[:, :rank] @ torch.randn(rank, d, generator=seeded(2), dtype=torch.float64)
    rows = rows * torch.cat([torch.full((k,), tangent), torch.ones(d - k)]).double() + 0.3
    noise = 0.02 * torch.randn(d, k, generator=seeded(3), dtype=torch.float64)
    basis = torch.linalg.qr(torch.eye(d, dtype=torch.float64)[:, :k] + noise).Q
    return rows / rows.abs().amax(), basis


def checked(form, taken, gradient, frames):
    torch.testing.assert_close(taken.whole / form.total, energy(gradient, frames), rtol=1e-5, atol=1e-9)
    scatter = row_scatter(gradient)
    expected = torch.stack([isoscore_star_without(scatter, frame) for frame in frames])
    torch.testing.assert_close(evenness_without(form, taken), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("o", "rank"), [(24, None), (24, 5)])
def test_a_gradient_of_few_rows_has_the_energies_of_whole_frames(o, rank):
    d, k, draws = 120, 6, 7
    gradient, basis = planted(o, d, k, rank)
    form = form_of(gradient.float(), basis)
    assert isinstance(form, Few)
    form = Few(gradient, basis)  # the same digits as the reference begins with
    checked(form, form.tangent(), gradient, basis[None])
    # frames normal to the basis, whole, and their components along the rows that L stands for
    frames = random_frames(d, k, draws, generator=seeded(4), beside=basis)
    rows = torch.cat([gradient - gradient.mean(dim=0), gradient.mean(dim=0, keepdim=True) * o**0.5])
    images = rows @ frames
    blocks = torch.linalg.lstsq(form.root.expand(draws, -1, -1), images, driver="gelsd").solution
    found = form.wholes(blocks.float()) / form.total
    torch.testing.assert_close(found, energy(gradient, frames), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(("o", "d", "k"), [(64, 48, 5), (4, 8, 4), (9, 10, 5), (200, 16, 2)])
def test_a_gradient_of_many_rows_has_the_energies_of_whole_frames(o, d, k):
    gradient, basis = planted(o, d, k)
    form = form_of(gradient, basis)
    assert isinstance(form, Many)
    checked(form, form.tangent(), gradient, basis[None])
    drawn = haar_block(d, k, d, 5, generator=seeded(0))
    normal = beside(drawn, basis)
    torch.testing.assert_close(basis.T @ normal.double(), torch.zeros(5, k, k).double(), rtol=0, atol=1e-6)
    one = torch.eye(k).double().expand(5, k, k)
    torch.testing.assert_close((normal.mT @ normal).double(), one, rtol=0, atol=3e-6)
    checked(form, form.squares(normal), gradient, normal.double())
    torch.testing.assert_close(form.wholes(normal), form.squares(normal).whole)


@pytest.mark.parametrize(("d", "k", "rows"), [(12, 2, 5), (12, 2, 11), (40, 3, 40), (9, 4, 3)])
def test_blocks_have_the_moments_of_haar_frames(d, k, rows):
    # one column is uniform on the sphere: E h^2 = 1 / d, E h^4 = 3 / (d (d + 2)); the projector R R^T of a
    # frame has E P_ij^2 = k (d - k) / ((d - 1) d (d + 2)) off the diagonal
    draws = 40_000 // rows
    found = haar_block(d, k, rows, draws, generator=seeded(6)).double()
    assert found.square().mean().item() == pytest.approx(1 / d, rel=0.02)
    assert found.pow(4).mean().item() == pytest.approx(3 / (d * (d + 2)), rel=0.05)
    products = found @ found.mT
    off = products[:, ~torch.eye(rows, dtype=torch.bool)].square().mean().item()
    assert off == pytest.approx(k * (d - k) / ((d - 1) * d * (d + 2)), rel=0.06)
    if rows == d:
        torch.testing.assert_close(
            found.mT @ found, torch.eye(k).double().expand(draws, k, k), rtol=0, atol=1e-5
        )
    else:
        assert torch.linalg.matrix_norm(found, 2).amax() < 1 + 1e-5


@pytest.mark.parametrize("o", [20, 200])
def test_nulls_scatter_about_their_expectation(o):
    # E tr(R^T S R) = (k / n) tr S in n dimensions
    gradient, basis = planted(o, 60, 4)
    form = form_of(gradient, basis)
    found = null_energies(form, NullFrames(400, seed=3))
    tangent = energy(gradient, basis).item()
    assert found.normals.mean().item() == pytest.approx((1 - tangent) * 4 / 56, rel=0.05)
    anywhere = energy(gradient, random_frames(60, 4, 4000, generator=seeded(9))).mean().item()
    assert anywhere == pytest.approx(4 / 60, rel=0.05)  # what a step reports of the whole space
    again = null_energies(form, NullFrames(400, seed=3))
    assert torch.equal(found.normals, again.normals)
    assert not torch.equal(found.normals, null_energies(form, NullFrames(400, seed=4)).normals)


@pytest.mark.parametrize(("o", "d", "k"), [(20, 30, 4), (60, 24, 5), (9, 10, 5), (40, 4, 2)])
def test_expected_squares_are_the_means_over_frames(o, d, k):
    gradient, basis = planted(o, d, k, tangent=4.0)
    form = form_of(gradient, basis)
    frames = random_frames(d, k, 6000, generator=seeded(7), beside=basis)
    centered = gradient - gradient.mean(dim=0)
    images = centered @ frames
    drawn = (
        (gradient @ frames).square().sum(dim=(1, 2)),
        images.square().sum(dim=(1, 2)),
        (centered.T @ images).square().sum(dim=(1, 2)),
        (images.mT @ images).square().sum(dim=(1, 2)),
    )
    for found, truth in zip(expected_squares(form), drawn, strict=True):
        error = truth.std().item() / len(truth) ** 0.5
        assert found.item() == pytest.approx(truth.mean().item(), abs=4 * error, rel=1e-9)
    scatter = row_scatter(gradient)
    evenness = torch.stack([isoscore_star_without(scatter, frame) for frame in frames[:300]])
    found = null_energies(form, NullFrames(2, seed=0)).evenness
    assert found.item() == pytest.approx(evenness.mean().item(), rel=0.03)


def test_a_singular_matrix_has_a_root():
    rows = torch.randn(6, 2, dtype=torch.float64, generator=seeded(0))
    for ridge in (0.0, 1e-15):
        root = square_root(rows @ rows.T, ridge)
        torch.testing.assert_close(root @ root.T, rows @ rows.T)


def test_frames_too_large_are_refused():
    with pytest.raises(ValueError, match="1 <= k <= d"):
        haar_block(4, 5, 2, 1, generator=seeded(0))
