import pytest

from conescope.results import Difference
from conescope.training.comparison import verdict_on, verdict_sentence


@pytest.mark.parametrize(
    ("low", "high", "better", "verdict"),
    [
        (0.1, 0.2, "higher", "improved"),
        (0.1, 0.2, "lower", "worse"),
        (-0.2, -0.1, "lower", "improved"),
        (-0.2, -0.1, "higher", "worse"),
        (-0.1, 0.2, "higher", "unchanged within noise"),
        (0.0, 0.2, "higher", "unchanged within noise"),
        (0.1, 0.2, "neither", "changed"),
        (None, None, "higher", "not known"),
    ],
)
def test_a_change_counts_only_if_its_interval_leaves_zero_out(low, high, better, verdict):
    assert verdict_on(low, high, better) == verdict


def change(name, difference, verdict):
    return Difference(
        arm="persistent-entropy (recursive)",
        name=name,
        kind="task",
        better="higher",
        plain=0.5,
        regularized=0.5 + difference,
        difference=difference,
        low=difference - 0.01,
        high=difference + 0.01,
        basis="3 seeds",
        verdict=verdict,
    )


def test_the_sentence_names_task_and_geometry_with_intervals():
    found = [change("matthews", 0.002, "unchanged within noise"), change("anisotropy_1", -0.05, "improved")]
    assert verdict_sentence(found, "matthews", 3) == (
        "persistent-entropy (recursive): the task is unchanged within noise (Matthews correlation +0.002 "
        "[-0.008, +0.012]) and the geometry improved (anisotropy_1, centered -0.050 [-0.060, -0.040])."
    )
    assert verdict_sentence(found, "matthews", 1).endswith("This is one seed; another may say otherwise.")


def test_arms_with_the_same_outcome_share_a_sentence():
    one = [change("matthews", 0.002, "unchanged within noise"), change("anisotropy_1", -0.05, "improved")]
    two = [difference.model_copy(update={"arm": "b"}) for difference in one]
    worse = [difference.model_copy(update={"arm": "c", "verdict": "worse"}) for difference in one]
    assert verdict_sentence(one + two + worse, "matthews", 3) == (
        "persistent-entropy (recursive), b: the task is unchanged within noise and the geometry improved. "
        "c: the task got worse and the geometry got worse. "
        "Intervals are not corrected for the number of arms."
    )


def test_without_a_plain_arm_nothing_is_claimed():
    assert verdict_sentence([], "matthews", 3).startswith("No comparison")
