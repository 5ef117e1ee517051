"""What counts as a guess, by hand and by simulation."""

import math

import numpy as np
import pytest

from conescope.ablation.chance import guessed, no_more_than_a_guess
from conescope.training.scores import classification_scores


def test_by_hand():
    assert guessed("accuracy", [0, 0, 0, 1]) == pytest.approx(0.75 + 2 * math.sqrt(0.75 * 0.25 / 4))
    assert guessed("matthews", [0] * 25) == pytest.approx(0.4)
    assert guessed("accuracy", [2, 2, 2]) == 1.0


@pytest.mark.parametrize("score", ["accuracy", "matthews"])
def test_guesses_pass_once_in_forty(score):
    """The most frequent class for new labels of one law; any other guess does worse in accuracy."""
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(400):
        labels = (rng.random(300) < 0.7).astype(int)
        guess = np.ones(300, dtype=int) if score == "accuracy" else (rng.random(300) < 0.6).astype(int)
        known = (np.arange(300) < 210).astype(int).tolist()  # the share by the law
        passed += classification_scores(labels.tolist(), guess.tolist())[score] > guessed(score, known)
    assert 1 <= passed <= 20  # 400 / 40 = 10 are expected


def test_the_mean_is_judged_and_what_is_not_finite_is_not():
    labels = [0, 1] * 50
    assert no_more_than_a_guess("matthews", [0.3, 0.3], labels) is None
    assert no_more_than_a_guess("matthews", [0.3, -0.3], labels) == (
        "Matthews correlation 0.000 on 100 examples is no more than a guess"
    )
    assert no_more_than_a_guess("accuracy", [math.nan, 0.55], labels) == (
        "accuracy 0.550 on 100 examples is no more than a guess"
    )
    assert no_more_than_a_guess("accuracy", [math.nan], labels) is None
    assert no_more_than_a_guess("accuracy", [], labels) is None
