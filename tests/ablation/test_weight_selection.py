"""The split, the error of a paired difference, and the rule of the choice, with values by hand."""

import math

import numpy as np
import pytest

from conescope.ablation.paired_error import paired_error
from conescope.ablation.weight_selection import choose, split
from conescope.results.ablation import Tried
from conescope.training.scores import classification_scores
from conescope.training.tables import LabelledTexts


def texts(labels):
    return LabelledTexts(tuple(str(row) for row in range(len(labels))), None, tuple(labels))


def test_the_split_is_stratified_and_complete():
    labels = [0] * 50 + [1] * 20 + [2] * 2
    rest, held = split(texts(labels), 0.2, seed=0)
    assert sorted(rest + held) == list(range(72))
    assert [sum(labels[row] == c for row in held) for c in range(3)] == [10, 4, 1]
    assert split(texts(labels), 0.2, seed=0) == (rest, held)
    assert split(texts(labels), 0.2, seed=1) != (rest, held)


def test_a_class_of_one_can_not_be_split():
    with pytest.raises(ValueError, match="class number 1 has one example"):
        split(texts([0, 0, 1]), 0.2, seed=0)


@pytest.mark.parametrize("score", ["accuracy", "matthews"])
def test_the_error_is_the_delete_one_jackknife(score):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 24)
    first = np.where(rng.random(24) < 0.8, labels, rng.integers(0, 2, 24))
    second = np.where(rng.random(24) < 0.6, labels, rng.integers(0, 2, 24))
    values = []
    for row in range(24):
        kept = [np.delete(column, row).tolist() for column in (labels, first, second)]
        values.append(
            classification_scores(kept[0], kept[1])[score] - classification_scores(kept[0], kept[2])[score]
        )
    expected = math.sqrt(23 / 24 * sum((value - np.mean(values)) ** 2 for value in values))
    found = paired_error(labels.tolist(), first.tolist(), second.tolist(), score)
    assert found == pytest.approx(expected)
    assert found > 0.01


def test_for_accuracy_it_is_the_error_of_a_mean():
    labels, first, second = [0] * 6, [0, 0, 0, 0, 1, 1], [0, 1, 1, 0, 0, 1]
    changes = [(a == 0) - (b == 0) for a, b in zip(first, second, strict=True)]
    assert paired_error(labels, first, second, "accuracy") == pytest.approx(np.std(changes, ddof=1) / 6**0.5)


def test_the_same_guesses_have_no_error_and_one_example_has_none_that_is_known():
    assert paired_error([0, 1, 1], [0, 1, 0], [0, 1, 0], "accuracy") == 0
    assert math.isnan(paired_error([0], [0], [1], "accuracy"))


def tried(weight, difference, anisotropy, error=0.02, seed=0):
    geometry = {} if anisotropy is None else {"anisotropy_1": anisotropy}
    return Tried(
        arm="a", weight=weight, seed=seed, score=0.5 + difference, plain_score=0.5,
        difference=difference, error=error, geometry=geometry,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "expected", "words"),
    [
        ([(0.1, 0.01, 0.5), (1.0, -0.02, 0.3), (3.0, -0.03, 0.1)], 1.0, "of 3 weights 2 keep"),
        ([(0.1, -0.05, 0.5), (1.0, -0.04, 0.3)], 1.0, "no weight keeps"),
        ([(0.1, -0.05, 0.5), (1.0, -0.05, 0.3)], 0.1, "no weight keeps"),
        ([(1.0, 0.0, 0.3), (0.1, 0.0, 0.3)], 0.1, "lowest centered anisotropy_1"),
        ([(0.1, 0.0, 0.9), (1.0, 0.3, None)], 0.1, "lowest centered anisotropy_1"),
    ],
)
def test_the_choice(rows, expected, words):
    choice = choose("a", [tried(*row) for row in rows])
    assert choice.weight == expected
    assert words in choice.reason


def test_seeds_are_averaged_before_they_are_judged():
    rows = [tried(1.0, -0.05, 0.1, seed=0), tried(1.0, 0.03, 0.1, seed=1)]  # mean -0.01, error 0.02
    rows += [tried(0.1, 0.0, 0.5, seed=seed) for seed in (0, 1)]
    assert choose("a", rows).weight == 1.0


def test_nothing_tried_is_nothing_chosen():
    with pytest.raises(ValueError, match="no weight was tried for a"):
        choose("a", [])
