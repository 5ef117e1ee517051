import pytest
import torch

from conescope.dynamics import anisotropy_share, isoscore_star_ceiling
from conescope.dynamics.frames import generator_for, normal_frames
from conescope.measures import isoscore_star
from tests.reference import gradient_energy as reference
from tests.reference import isoscore_star as steps


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("zeta", [0.0, 0.2])
def test_scores_are_those_of_the_projected_rows(zeta):
    gradient = normal(30, 10) * torch.linspace(3, 0.5, 10).double() + 1
    basis = torch.linalg.qr(normal(10, 3, seed=1)).Q
    found = anisotropy_share(gradient, basis, draws=3, seed=4, zeta=zeta)

    def score(rows):
        prior = torch.cov(torch.as_tensor(rows).T).trace() / 10 * torch.eye(10).double()
        return steps.isoscore_star(rows, prior.numpy(), zeta)

    frames = normal_frames(basis, 3, generator=generator_for(4, gradient.device))
    normals = [score(reference.without(gradient.numpy(), frame.numpy())) for frame in frames]
    without = score(reference.without(gradient.numpy(), basis.numpy()))
    assert found.whole.item() == pytest.approx(score(gradient.numpy()), abs=1e-9)
    assert found.without.item() == pytest.approx(without, abs=1e-9)
    assert found.normals.tolist() == pytest.approx(normals, abs=1e-9)
    assert found.delta.item() == pytest.approx(without - sum(normals) / 3, abs=1e-9)


@pytest.mark.parametrize("zeta", [0.0, 0.2])
def test_even_rows_reach_the_ceiling_of_their_rank(zeta):
    corners = torch.cat([torch.eye(8), -torch.eye(8)]).double()  # covariance a multiple of I
    found = anisotropy_share(corners, torch.eye(8).double()[:, :3], zeta=zeta)
    ceiling = isoscore_star_ceiling(8, 3, zeta=zeta)
    assert found.without.item() == pytest.approx(ceiling)
    assert found.normals.tolist() == pytest.approx([ceiling] * 20)
    assert found.delta.item() == pytest.approx(0)
    projected = corners * (torch.arange(8) >= 3)
    assert isoscore_star(projected, zeta=zeta).item() == pytest.approx(ceiling)


def test_the_ceiling_by_hand():
    assert isoscore_star_ceiling(64, 8, zeta=0.0) == pytest.approx(55 / 63)


def test_taking_out_the_strong_directions_evens_the_rows():
    gradient = normal(200, 16) * torch.cat([torch.full((2,), 10.0), torch.ones(14)]).double()
    assert anisotropy_share(gradient, torch.eye(16).double()[:, :2]).delta > 0.5
    assert abs(anisotropy_share(gradient, torch.eye(16).double()[:, 5:7]).delta) < 0.02  # as random ones do


def test_rows_that_coincide_have_no_anisotropy():
    found = anisotropy_share(torch.ones(3, 4), torch.eye(4)[:, :1])
    assert found.whole.isnan()
    assert found.delta.isnan()
