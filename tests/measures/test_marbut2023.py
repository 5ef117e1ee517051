"""The synthetic suite of Marbut et al. (2023): the clouds, and the values the paper's authors published."""

import json
from itertools import product

import numpy as np
import pytest
import torch
from experiments.marbut2023.run import DIMENSIONS, HERE, PUBLISHED, measured, table
from experiments.marbut2023.shapes import SHAPES, cloud

from conescope.measures import eee


@pytest.mark.parametrize(("shape", "d"), PUBLISHED)
def test_published_values(shape, d):
    eee, ratio, vrm = PUBLISHED[shape, d]
    found = measured(shape, d)
    assert round(found["eee"], 4) == eee
    assert float(f"{found['pc_ratio']:.3g}") == ratio
    assert found["vrm"] == pytest.approx(vrm, abs=1e-3)
    assert found["vrm_seeded"] == pytest.approx(vrm, abs=2e-4)


@pytest.mark.parametrize("d", [2, 10])
@pytest.mark.parametrize("shape", SHAPES)
def test_committed_values_are_those_of_the_code(shape, d):
    facts = json.loads((HERE / "results.json").read_text())
    row = next(row for row in facts["clouds"] if (row["shape"], row["d"]) == (shape, d))
    found = measured(shape, d)
    assert found.keys() == row.keys()
    for name in ("n", "eee", "pc_ratio", "vrm", "vrm_seeded", "vrm_scatter", "gaussian_vrm"):
        assert found[name] == pytest.approx(row[name], rel=1e-6)


def test_tables_are_those_of_the_results():
    facts = json.loads((HERE / "results.json").read_text())
    assert [(row["shape"], row["d"]) for row in facts["clouds"]] == list(product(SHAPES, DIMENSIONS))
    assert (HERE / "table.md").read_text() == table(facts)
    assert table(facts) in (HERE / "README.md").read_text()


@pytest.mark.parametrize("d", [2, 10])
@pytest.mark.parametrize("shape", SHAPES)
def test_clouds_are_the_same_at_every_call(shape, d):
    points = cloud(shape, d)
    assert points.shape == (250 * d, d)
    assert np.isfinite(points).all()
    np.random.default_rng(0).normal(size=9)
    assert np.array_equal(points, cloud(shape, d))


@pytest.mark.parametrize("d", [2, 10])
def test_radii(d):
    lengths = {shape: np.linalg.norm(cloud(shape, d), axis=1) for shape in ("ball", "shell", "nested shells")}
    np.testing.assert_allclose(lengths["shell"], 1)
    np.testing.assert_allclose(lengths["nested shells"], [0.5] * (125 * d) + [1] * (125 * d))
    assert lengths["ball"].max() < 1
    assert (lengths["ball"] ** d).mean() == pytest.approx(1 / 2, abs=0.05)  # even in volume


def test_the_cone_in_a_plane_is_a_triangle():
    heights, across = cloud("cone", 2).T
    assert (np.abs(across) <= heights * np.tan(1 / np.sqrt(2))).all()
    assert (across > 0).mean() == pytest.approx(1 / 2, abs=0.1)


def test_clusters_lie_around_their_centers():
    d, centers = 10, np.random.RandomState(11).uniform(-1, 1, (10, 10))
    halves = cloud("symmetric clusters", d).reshape(d, 2, 125, d)
    np.testing.assert_allclose(halves.mean(axis=2), np.stack([centers, -centers], axis=1), atol=0.05)
    assert halves.std(axis=2).mean() == pytest.approx(0.1, rel=0.02)
    moved = cloud("shifted clusters", d).reshape(d, 2, 125, d).mean(axis=2)
    moves = moved - np.stack([centers, -centers], axis=1)
    assert -1.05 < moves[:, 0].min() < -0.8
    assert 0.8 < moves[:, 1].max() < 1.05
    assert moves[:, 0].max() < 0.05
    assert moves[:, 1].min() > -0.05


def test_uneven_clusters_hold_k_and_the_rest():
    d, random = 10, np.random.RandomState(11)
    first = random.uniform(-1, 1, (d, d))[0]
    k = random.choice(250)
    pair = cloud("uneven clusters", d)[:250]
    nearer = np.linalg.norm(pair - first, axis=1) < np.linalg.norm(pair + first, axis=1)
    assert np.array_equal(nearer, np.arange(250) < k)


def other_readings():
    """The readings of the description that the README speaks of, in 10 dimensions, with their EEE."""
    d, n, random = 10, 2500, np.random.RandomState(11)
    heights = random.uniform(0, 1, n) ** (1 / d)
    distances = heights * np.tan(1 / np.sqrt(d)) * random.uniform(0, 1, n) ** (1 / (d - 1))
    across = random.normal(size=(n, d - 1))
    across *= (distances / np.linalg.norm(across, axis=1))[:, None]
    yield "evenly filled cone", 0.0475, np.hstack([heights[:, None], across])

    random = np.random.RandomState(11)
    centers = random.uniform(-1, 1, (d, d))
    parts = [random.normal(sign * center, 0.1**0.5, (125, d)) for center in centers for sign in (1, -1)]
    yield "variance 1 / d", 0.3933, np.vstack(parts)

    random = np.random.RandomState(11)
    centers = random.uniform(-1, 1, (d, d))
    sizes = random.choice(250, d)
    parts = [
        random.normal(sign * center, 0.1, (size, d))
        for center, k in zip(centers, sizes, strict=True)
        for sign, size in ((1, k), (-1, 250 - k))
    ]
    yield "all sizes first", 0.5011, np.vstack(parts)

    random = np.random.RandomState(11)
    centers = random.uniform(-1, 1, (d, d))
    parts = [
        random.normal(sign * center + random.uniform(min(-sign, 0), max(-sign, 0), d), 0.1, (125, d))
        for center in centers
        for sign in (1, -1)
    ]
    yield "move by move", 0.6060, np.vstack(parts)


def test_other_readings_of_the_description_have_other_values():
    readme = (HERE / "README.md").read_text()
    for name, value, points in other_readings():
        assert round(eee(torch.from_numpy(points)).item(), 4) == value, name
        assert f"{value:.4f}" in readme
