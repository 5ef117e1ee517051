"""What counts as a guess, by hand and by simulation."""

import math

import numpy as np
import pytest

from conescope.ablation.chance import no_more_than_a_guess
from conescope.training.scores import classification_scores


def rows(*values):
    return [{"accuracy": 0.9, "matthews": value} for value in values]


def test_by_hand():
    assert no_more_than_a_guess(rows(0.201), 100) is None  # 2 / sqrt(100)
    assert no_more_than_a_guess(rows(0.2), 100) == (
        "Matthews correlation 0.200 on 100 examples is no more than a guess"
    )
    assert no_more_than_a_guess(rows(0.5, -0.1, 0.0), 100) == (
        "with 2 of 3 seeds, Matthews correlation -0.100, 0.000 on 100 examples is no more than a guess"
    )


def test_what_is_not_finite_is_left_out():
    assert no_more_than_a_guess(rows(math.nan), 100) is None
    assert no_more_than_a_guess([{"accuracy": 0.2}], 100) is None
    assert no_more_than_a_guess([], 100) is None
    assert no_more_than_a_guess(rows(0.9, math.nan), 100) is None


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.95, 0.05), (0.25, 0.25, 0.25, 0.25), (0.9, 0.06, 0.04)])
def test_guesses_pass_once_in_forty_at_most(shares):
    """Guesses of the law of the labels, which do not look at the examples."""
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(300):
        labels, guess = rng.choice(len(shares), (2, 200), p=shares).tolist()
        passed += no_more_than_a_guess([classification_scores(labels, guess)], 200) is None
    assert passed <= 20  # 7.5 are expected with two balanced classes


@pytest.mark.parametrize("most", [50, 95, 99])
def test_who_is_right_does_not_guess(most):
    labels = [0] * most + [1] * (100 - most)
    assert no_more_than_a_guess([classification_scores(labels, labels)], 100) is None
    assert no_more_than_a_guess([classification_scores(labels, [0] * 100)], 100) is not None
