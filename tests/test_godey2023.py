"""What the experiment on layers computes by itself: its decomposition, and its tables."""

import json
import math
from pathlib import Path

import pytest
import torch
from experiments.godey2023.decomposition import decomposed
from experiments.godey2023.massive import RUNS, parts
from experiments.godey2023.massive import table as massive_table
from experiments.godey2023.table import outcome, stacks, table

HERE = Path(__file__).parents[1] / "experiments" / "godey2023"
OWNERS = torch.arange(400) % 80


def noise(n=400, d=30, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shares(points, measure):
    found = decomposed(points, OWNERS)[measure]
    return {part: ends[0] for part, ends in found.items()}


@pytest.mark.parametrize("measure", ["mean_cosine", "anisotropy_1"])
def test_the_shares_add_up_to_one(measure):
    found = shares(noise() * torch.linspace(0.2, 5, 30) + 1, measure)
    assert found["mean_share"] + found["rogue_share"] + found["left"] == pytest.approx(1, abs=1e-12)


def test_a_common_mean_over_all_coordinates_is_the_mean():
    found = shares(noise() + 3, "mean_cosine")
    assert found["raw"] == pytest.approx(9 / 10, abs=0.01)  # |mean|^2 / (|mean|^2 + d) with 9 a coordinate
    assert found["mean_share"] > 0.97
    assert abs(found["rogue_share"]) < 0.02
    assert abs(found["left"]) < 0.02


def test_one_loud_coordinate_around_zero_is_rogue_and_no_mean():
    points = noise()
    points[:, 7] *= 30
    found = shares(points, "anisotropy_1")
    assert found["raw"] == pytest.approx(900 / 929, abs=0.01)
    assert found["rogue_share"] > 0.9
    assert abs(found["mean_share"]) < 0.02


def test_a_loud_direction_off_the_axes_is_left():
    points = noise()
    direction = torch.ones(30, dtype=torch.float64) / math.sqrt(30)
    points += 30 * noise(400, 1, seed=1) * direction
    found = shares(points, "anisotropy_1")
    assert found["left"] > 0.9


def test_a_mean_in_one_coordinate_is_shared_between_both_steps():
    points = noise()
    points[:, 4] += 20
    found = shares(points, "mean_cosine")
    assert found["mean_share"] == pytest.approx(0.5, abs=0.03)  # either step alone takes all of it away
    assert found["rogue_share"] == pytest.approx(0.5, abs=0.03)


def test_intervals_hold_the_value_and_are_over_inputs():
    """Copies of every input's points add nothing: the intervals are as long as without them."""
    points = noise(80) + 0.5
    once = decomposed(points, torch.arange(80))["mean_cosine"]["left"]
    often = decomposed(points.repeat(5, 1), torch.arange(80).repeat(5))["anisotropy_1"]["raw"]
    alone = decomposed(points, torch.arange(80))["anisotropy_1"]["raw"]
    assert once[1] <= once[0] <= once[2]
    assert often[2] - often[1] == pytest.approx(alone[2] - alone[1], rel=1e-6)


def test_a_difference_counts_beyond_both_intervals():
    assert outcome((0.5, 0.4, 0.6), (0.3, 0.25, 0.35)) == 1
    assert outcome((0.3, 0.25, 0.35), (0.5, 0.4, 0.6)) == -1
    assert outcome((0.5, 0.4, 0.6), (0.4, 0.35, 0.45)) == 0  # 0.1 is less than hypot(0.1, 0.05)
    assert outcome((0.5, None, None), (0.3, 0.2, 0.4)) is None


def test_the_table_is_that_of_the_results():
    facts = json.loads((HERE / "results.json").read_text())
    assert (HERE / "table.md").read_text() == table(facts) + "\n"
    found = list(stacks(facts))
    assert [(model, data, stack) for model, data, stack, _, _ in found] == [
        ("minilm", "cola", ""),
        ("minilm", "wikitext2", ""),
        ("mpnet", "cola", ""),
        ("mpnet", "wikitext2", ""),
        ("smollm2", "cola", ""),
        ("smollm2", "wikitext2", ""),
        ("whisper", "fsdd", "encoder"),
        ("whisper", "fsdd", "decoder"),
        ("dinov2", "cifar10_sample", ""),
    ]


def test_massive_tokens_are_those_far_above_the_median():
    points = noise(100, 8)
    points[:5] *= 1000
    found = parts(points)
    assert found["massive"] == 0.05
    assert found["squares"] > 0.99
    rest = points[5:]
    unit = rest / rest.norm(dim=1, keepdim=True)
    cosines = (unit @ unit.T)[~torch.eye(95, dtype=torch.bool)]
    assert found["raw_without"] == pytest.approx(float(cosines.mean()), abs=1e-12)


def test_the_table_of_massive_tokens_is_that_of_its_results():
    facts = json.loads((HERE / "massive.json").read_text())
    assert (HERE / "massive.md").read_text() == massive_table(facts) + "\n"
    assert set(facts["runs"]) == {" ".join(run) for run in RUNS}
