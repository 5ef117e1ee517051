import pytest

from conescope.report.wording import HEADLINE, SIGNS, decimals, meaning, number, spoken
from conescope.results import Difference
from conescope.training import comparison
from conescope.training.scores import SCORES
from conescope.training.snapshot import GEOMETRY


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (0.91234, None, "0.9123"),  # four digits
        (12.3456, None, "12.35"),
        (45678.0, None, "45678"),
        (-0.0312, 3, "−0.031"),  # noqa: RUF001
        (0.0, None, "0"),
        (2e-7, 4, "2.00e−07"),  # noqa: RUF001
        (float("nan"), None, "not a number"),
        (float("-inf"), None, "−∞"),  # noqa: RUF001
        (None, None, "–"),  # noqa: RUF001
    ],
)
def test_numbers_for_a_reader(value, places, text):
    assert number(value, places) == text


def test_a_small_difference_gets_two_digits_more_at_most():
    assert decimals(0.9123, 0.0123) == 4
    assert decimals(0.9123, 0.00012) == 5
    assert decimals(0.9123, 0.00000012) == 6


@pytest.mark.parametrize("name", [*GEOMETRY, *SCORES, "step_seconds", "regularizer_seconds"])
def test_everything_that_is_compared_is_explained(name):
    assert meaning(name).endswith(".")
    assert "_" not in spoken(name)


def test_names_are_told_apart():
    spoken_names = [spoken(name) for name in (*GEOMETRY, *SCORES)]
    assert len(set(spoken_names)) == len(spoken_names)


def test_unknown_quantities_keep_their_name():
    assert spoken("hubness_skew") == "Hubness skew"
    assert meaning("hubness_skew") == ""


def test_every_verdict_has_a_symbol_of_its_own():
    verdicts = Difference.model_fields["verdict"].annotation.__args__
    assert set(SIGNS) == set(verdicts)
    assert len({sign.symbol for sign in SIGNS.values()}) == len(verdicts)


def test_headline_is_that_of_the_verdict_sentence():
    assert HEADLINE == comparison.HEADLINE
