import pytest
import torch
from torch import nn

from conescope.dynamics import TangentEnergy, fit_proxy
from conescope.dynamics.concepts import atoms, concept_proxy
from conescope.dynamics.proxy import beside_tangent
from conescope.dynamics.reservoir import refilled
from conescope.scale.moments import moments


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=seeded(seed))


def planted(n=300, d=20, count=6):
    """Points that are one of six unit atoms, a tenth of them two; the first three stronger; and the atoms."""
    parts = torch.nn.functional.normalize(normal(count, d), dim=1)
    codes = torch.zeros(n, count, dtype=torch.float64)
    for rows, seed in ((n, 1), (n // 10, 2)):
        which = torch.randint(count, (rows, 1), generator=seeded(seed))
        strength = torch.rand(rows, 1, dtype=torch.float64, generator=seeded(seed + 5)) + 0.5
        codes[:rows].scatter_(1, which, strength)
    return (codes * torch.tensor([3.0, 3, 3, 1, 1, 1])) @ parts, parts


def projector(basis):
    return basis @ basis.T


def test_planted_atoms_are_found_and_the_strong_ones_span_the_proxy():
    points, parts = planted()
    weights, found = atoms(points, 6)
    assert weights.min() >= 0
    assert (weights @ found - points).norm() < 0.05 * points.norm()
    cosines = torch.nn.functional.normalize(found, dim=1) @ parts.T
    nearest = cosines.amax(dim=0)  # signed: an atom and not its opposite
    assert nearest[:3].min() > 0.98
    assert nearest.min() > 0.75  # the weak ones share points with the strong
    proxy = concept_proxy(points, 3)
    assert torch.linalg.svdvals(proxy.tangent.T @ torch.linalg.qr(parts[:3].T).Q).min() > 0.97
    assert proxy.points == len(points)


def test_turning_the_inputs_turns_either_proxy():
    points, _ = planted()
    points = points + 0.05 * normal(*points.shape, seed=9)
    turn = torch.linalg.qr(normal(20, 20, seed=5)).Q
    for one, other in (
        (concept_proxy(points, 3), concept_proxy(points @ turn, 3)),
        (fit_proxy(moments(points), 3), fit_proxy(moments(points @ turn), 3)),
    ):
        for name in ("tangent", "following", "uncentered"):
            turned = turn.T @ getattr(one, name)
            torch.testing.assert_close(projector(turned), projector(getattr(other, name)), rtol=0, atol=1e-6)
        assert one.explained == pytest.approx(other.explained)


def test_the_frames_beside_principal_directions_are_those_of_the_fit():
    found = moments(normal(100, 12) * torch.linspace(3, 0.5, 12).double() + 1)
    expected = fit_proxy(found, 3)
    proxy = beside_tangent(expected.tangent, found)
    assert proxy.explained == pytest.approx(expected.explained)
    torch.testing.assert_close(projector(proxy.following), projector(expected.following))
    torch.testing.assert_close(projector(proxy.uncentered), projector(expected.uncentered))


def test_frames_beside_concepts_are_orthonormal_and_normal_to_them():
    proxy = concept_proxy(planted()[0], 4)
    both = torch.cat([proxy.tangent, proxy.following], dim=1)
    torch.testing.assert_close(both.T @ both, torch.eye(8).double())
    assert 0 < proxy.explained <= 1


def test_points_without_directions_are_refused(without_shape_checks):
    with pytest.raises(ValueError, match="all coincide"):
        concept_proxy(torch.ones(9, 4))
    with pytest.raises(ValueError, match="take rank <= 1"):
        concept_proxy(normal(3, 8), 2)
    with pytest.raises(ValueError, match="take k <= 4"):
        concept_proxy(normal(30, 8), 5)


def test_a_reservoir_keeps_every_row_as_often():
    counts = torch.zeros(40)
    for seed in range(400):
        kept, seen = None, 0
        for rows in torch.arange(40.0)[:, None].split([7, 1, 20, 12]):
            kept, seen = refilled(kept, seen, rows, 10, 1000 * seed), seen + len(rows)
        assert len(kept) == len(kept.unique()) == 10
        counts[kept.flatten().long()] += 1
    expected = 400 * 10 / 40  # deviation sqrt(100 * 0.75) = 8.7
    assert (counts - expected).abs().max() < 4 * 8.7


def run(steps=12, **options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    settings = {"total_steps": 12, "every": 1, "rank": 2, "draws": 3} | options
    inputs = []
    with TangentEnergy(model, ["2"], **settings) as te:
        for step in range(steps):
            points = torch.randn(40, 16, generator=seeded(step)) * torch.linspace(3, 0.2, 16)
            inputs.append(torch.tanh(model[0](points)).detach())
            model(points).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    return te, inputs


def test_a_window_that_is_never_full_is_the_fit():
    fixed, _ = run()
    windowed, _ = run(proxy="windowed", refit_every=100)
    assert windowed.result().sites == fixed.result().sites
    assert "fitted anew after every 100 sampled steps" in windowed.result().notes[0]
    assert fixed.result().notes == ()


def test_a_window_is_the_last_steps_and_is_frozen_until_the_next():
    windowed, inputs = run(steps=11, proxy="windowed", refit_every=3)  # fit 0 to 3, windows 4-6, 7-9
    expected = fit_proxy(moments(torch.cat(inputs[7:10])), 2)
    found = windowed.proxies()["2"]
    assert found.points == 120
    torch.testing.assert_close(projector(found.tangent), projector(expected.tangent), rtol=0, atol=1e-4)
    fixed, _ = run(steps=11)
    energies = [[step.energy for step in one.result().site("2").steps] for one in (windowed, fixed)]
    assert energies[0][:3] == energies[1][:3]
    assert energies[0][3] != energies[1][3]


def test_concepts_of_a_training_are_those_of_its_inputs():
    te, inputs = run(proxy="concepts", reservoir=1000)
    expected = concept_proxy(torch.cat(inputs[:4]), 2)
    found = te.proxies()["2"]
    torch.testing.assert_close(projector(found.tangent), projector(expected.tangent), rtol=0, atol=1e-3)
    steps = te.result().site("2").steps
    assert len(steps) == 8
    assert all(step.shuffled is not None and 0 < step.normal < 1 and step.delta is not None for step in steps)
    few, _ = run(proxy="concepts", reservoir=3)
    assert "take rank <= 1" in few.result().site("2").note


def test_wrong_proxies_are_named(without_shape_checks):
    with pytest.raises(ValueError, match="pca, windowed, concepts"):
        run(proxy="ica")
    with pytest.raises(ValueError, match="refit_every >= 1"):
        run(refit_every=0)
