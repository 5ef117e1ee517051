import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conescope.dynamics import (
    energy,
    excess_ratio,
    gradient_energy,
    normal_frames,
    random_frames,
    shuffled_energies,
    shuffled_energy,
    variance_share,
)
from conescope.dynamics.energy import energy_from_gram
from conescope.dynamics.shuffled import shuffled_rows
from tests.reference import gradient_energy as reference

sizes = st.tuples(st.integers(1, 5), st.integers(2, 8), st.integers(0, 2**31))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=seeded(seed))


def axes(d, *which):
    return torch.eye(d, dtype=torch.float64)[:, list(which)]


@settings(max_examples=25, deadline=None)
@given(sizes)
def test_energy_is_its_definition_and_that_of_its_gram(size):
    o, d, seed = size
    gradient, basis = normal(o, d, seed=seed), random_frames(d, 1, 1, generator=seeded(seed + 1))[0]
    expected = reference.energy(gradient.numpy(), basis.numpy())
    assert energy(gradient, basis).item() == pytest.approx(expected, abs=1e-12)
    assert energy_from_gram(gradient.T @ gradient, basis).item() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(sizes, st.floats(1e-6, 1e6))
def test_energies_add_to_one_and_ignore_scale_and_rotations_of_outputs(size, scale):
    o, d, seed = size
    gradient, whole = normal(o, d, seed=seed), random_frames(d, d, 1, generator=seeded(seed))[0]
    rotation = random_frames(o, o, 1, generator=seeded(seed + 1))[0]
    inside, outside = energy(gradient, whole[:, :1]), energy(gradient, whole[:, 1:])
    assert (inside + outside).item() == pytest.approx(1)
    assert energy(gradient, whole).item() == pytest.approx(1)
    assert energy(scale * rotation @ gradient, whole[:, :1]).item() == pytest.approx(inside.item(), abs=1e-12)


def test_a_parabola_with_constant_gradients_has_all_energy_in_the_normal():
    # x = (u, u^2), W = 0, y = -1: g = 1. mean g x = (0, 0.025), so tangent 0, normal 1
    u = torch.tensor([-0.2, -0.1, 0.1, 0.2], dtype=torch.float64)
    inputs = torch.stack([u, u**2], dim=1)
    gradient = inputs.mean(dim=0, keepdim=True)
    assert gradient[0].tolist() == pytest.approx([0, 0.025])
    found = gradient_energy(gradient, axes(2, 0))
    assert found.energy.item() == pytest.approx(0)
    assert found.normals.tolist() == pytest.approx([1] * 20)  # the complement is one line
    assert found.ratio.item() == pytest.approx(0)
    assert found.p.item() == 1
    leaning = ((1 + u)[:, None] * inputs).mean(dim=0, keepdim=True)  # (0.025, 0.025)
    assert [energy(leaning, axes(2, axis)).item() for axis in (0, 1)] == pytest.approx([0.5, 0.5])


def test_noise_gets_a_large_ratio_from_the_variance_of_the_inputs_alone():
    # sd 3 on 8 axes, 0.3 on 56: share 8 * 9 / (8 * 9 + 56 * 0.09) = 0.9346; ratio 0.9346 / (0.0654 / 7) = 100
    basis = axes(64, *range(8))
    deviations = torch.cat([torch.full((8,), 3.0), torch.full((56,), 0.3)]).double()
    found = []
    for seed in range(10):
        inputs, gradients = normal(512, 64, seed=seed) * deviations, normal(512, 32, seed=100 + seed)
        one = gradient_energy(gradients.T @ inputs, basis, seed=seed)
        share = variance_share(inputs, basis)
        found.append([one.energy, one.ratio, excess_ratio(one.energy, share), share, one.p])
    energies, ratio, excess, share, p = np.mean(found, axis=0)
    assert energies == pytest.approx(72 / 77.04, abs=0.005)
    assert share == pytest.approx(72 / 77.04, abs=0.003)
    assert 90 < ratio < 115
    assert excess == pytest.approx(1, abs=0.005)
    assert p == pytest.approx(1 / 21)


def test_the_worked_example_of_one_sample_has_ratio_near_a_hundred():
    inputs = normal(4096, 64, seed=3) * torch.cat([torch.full((8,), 3.0), torch.full((56,), 0.3)]).double()
    found = gradient_energy(normal(4096, 64, seed=4).T @ inputs, axes(64, *range(8)))
    assert found.energy.item() == pytest.approx(0.94, abs=0.01)
    assert found.ratio.item() == pytest.approx(107.8, rel=0.15)
    assert round(found.p.item(), 4) == 0.0476


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**31))
def test_the_shuffled_null_is_that_of_all_permutations(positions, seed):
    inputs, gradients = normal(positions, 3, seed=seed) + 1, normal(positions, 2, seed=seed + 1) + 0.5
    basis = random_frames(3, 1, 1, generator=seeded(seed))[0]
    expected = reference.shuffled_energy(inputs.numpy(), gradients.numpy(), basis.numpy())
    assert shuffled_energy(inputs, gradients, basis).item() == pytest.approx(expected, rel=1e-9)


def test_shuffled_rows_keep_padding_in_its_place():
    rows = torch.arange(20.0).reshape(10, 2)
    real = torch.tensor([True, False] * 5)
    orders = {tuple(shuffled_rows(rows, real, generator=seeded(seed))[:, 0].tolist()) for seed in range(50)}
    assert len(orders) > 30  # of 120
    for order in orders:
        assert order[1::2] == tuple(rows[1::2, 0].tolist())
        assert sorted(order[::2]) == rows[::2, 0].tolist()
    assert torch.equal(shuffled_rows(rows[:1], generator=seeded(0)), rows[:1])
    everything = shuffled_rows(rows, generator=seeded(3))
    assert torch.equal(everything.sort(dim=0).values, rows)
    assert not torch.equal(everything, rows)


def test_drawn_permutations_scatter_about_the_closed_form():
    inputs, gradients = normal(200, 6) + 0.3, normal(200, 40, seed=1) + 0.2
    drawn = shuffled_energies(inputs, gradients, axes(6, 0, 1), draws=200)
    error = drawn.std() / math.sqrt(200)
    closed = shuffled_energy(inputs, gradients, axes(6, 0, 1))
    assert error < 0.01
    assert abs(drawn.mean() - closed) < 4 * error + 0.002  # the mean of a ratio is not the ratio of means


def test_frames_are_orthonormal_normal_to_the_basis_and_leave_no_direction_out():
    basis = random_frames(6, 2, 1, generator=seeded(0))[0]
    frames = normal_frames(basis, 3000, generator=seeded(1))
    torch.testing.assert_close(frames.mT @ frames, torch.eye(2).double().expand(3000, 2, 2))
    torch.testing.assert_close(basis.T @ frames, torch.zeros(3000, 2, 2).double())
    mean = (frames @ frames.mT).mean(dim=0)  # Haar: k / (d - k) of the complement's projector
    torch.testing.assert_close(mean, 0.5 * (torch.eye(6) - basis @ basis.T), atol=0.03, rtol=0)


@pytest.mark.parametrize("k", [1, 8, 9, 20])
def test_frames_of_any_rank_are_orthonormal_to_rounding(k):
    basis = random_frames(40, k, 1, generator=seeded(0))[0]
    frames = normal_frames(basis, 50, generator=seeded(1))
    torch.testing.assert_close(frames.mT @ frames, torch.eye(k).double().expand(50, k, k), rtol=0, atol=1e-12)
    torch.testing.assert_close(basis.T @ frames, torch.zeros(50, k, k).double(), rtol=0, atol=1e-12)


def test_frames_of_the_plane_have_every_angle():
    # the first direction of a Haar frame of the plane is uniform on the circle: E x^4 = 3 / 8, E x^2 = 1 / 2
    first = random_frames(2, 2, 20_000, generator=seeded(5))[:, 0, 0]
    assert first.square().mean().item() == pytest.approx(1 / 2, abs=0.015)
    assert first.pow(4).mean().item() == pytest.approx(3 / 8, abs=0.015)
    assert first.mean().item() == pytest.approx(0, abs=0.025)


def test_half_of_the_space_leaves_room_for_one_frame():
    found = gradient_energy(normal(5, 8), axes(8, *range(4)))  # every normal frame spans the complement
    torch.testing.assert_close(found.normals, (1 - found.energy).expand(20))


def test_the_draws_leave_the_generator_of_torch_alone():
    before = torch.get_rng_state()
    one = gradient_energy(normal(4, 8), axes(8, 0), seed=7).normals
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(gradient_energy(normal(4, 8), axes(8, 0), seed=7).normals, one)
    assert not torch.equal(gradient_energy(normal(4, 8), axes(8, 0), seed=8).normals, one)


def test_a_gradient_of_zeros_has_no_energy():
    found = gradient_energy(torch.zeros(3, 4), axes(4, 0).float())
    assert all(value.isnan().all() for value in found)


@pytest.mark.parametrize(
    ("basis", "message"),
    [
        (torch.eye(4)[:, :3], "take k <= 2"),
        (torch.eye(5)[:, :1], r"d = 4 as the gradient has.*got \(5, 1\)"),
        (torch.ones(4, 1), "must be orthonormal, but their products are off by 3"),
    ],
)
def test_a_basis_that_can_not_be_compared_is_refused(basis, message, without_shape_checks):
    with pytest.raises(ValueError, match=message):
        gradient_energy(torch.ones(3, 4), basis)
    with pytest.raises(ValueError, match="at least one normal frame"):
        gradient_energy(torch.ones(3, 4), torch.eye(4)[:, :1], draws=0)


def test_a_frame_larger_than_its_space_is_refused():
    with pytest.raises(ValueError, match="1 <= k <= 3"):
        random_frames(4, 4, 1, generator=seeded(0), beside=axes(4, 0))
