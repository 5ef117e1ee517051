import pytest

from conescope.training.scores import classification_scores, main_score


def test_values_by_hand():
    # true positives 2, false positives 1, false negatives 1, true negatives 4
    labels, guesses = [1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0, 0]
    found = classification_scores(labels, guesses)
    assert found["accuracy"] == pytest.approx(6 / 8)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["matthews"] == pytest.approx((2 * 4 - 1 * 1) / (3 * 3 * 5 * 5) ** 0.5)


def test_a_constant_guess_has_no_correlation():
    assert classification_scores([0, 1, 1], [1, 1, 1])["matthews"] == 0


def test_main_score_by_number_of_classes():
    assert (main_score(2), main_score(3)) == ("matthews", "accuracy")
