"""Statistics of an ablation against scipy, hand-made numbers, and the definition of a front."""

import math

import numpy as np
import pytest
from scipy import stats

from conescope.ablation.quantities import score_curve
from conescope.ablation.statistics import front, holm, paired_differences, verdict
from tests.ablation.made import SCORE, arm, run

PLAIN = arm("none", [0.50, 0.53, 0.47, 0.52, 0.49])
UP = arm("up", [0.55, 0.57, 0.54, 0.56, 0.55], [0.31, 0.33, 0.30, 0.34, 0.32])
SAME = arm("same", [0.51, 0.52, 0.46, 0.53, 0.50], [0.29, 0.31, 0.33, 0.33, 0.34])
ROUND = arm("round", [0.505, 0.525, 0.475, 0.515, 0.492], [0.20, 0.22, 0.21, 0.24, 0.23])
COSTLY = arm("costly", [0.40, 0.44, 0.36, 0.41, 0.38], [0.10, 0.13, 0.12, 0.11, 0.15])


def of(found, arm, name):
    (one,) = [each for each in found if (each.arm, each.name) == (arm, name)]
    return one


def scores(arm):
    return [run.scores[SCORE] for run in arm.runs]


def judged(*arms, seeds=5):
    found = paired_differences(arms, SCORE)
    return verdict(found, front(arms, SCORE), SCORE, seeds)


def test_p_and_interval_are_those_of_scipy():
    found = paired_differences([PLAIN, UP, SAME, ROUND], SCORE)
    tested = {}
    for treated in (UP, SAME, ROUND):
        truth = stats.ttest_rel(scores(treated), scores(PLAIN))
        one = of(found, treated.name, SCORE)
        assert one.p == pytest.approx(truth.pvalue, rel=1e-9)
        interval = truth.confidence_interval(0.95)
        assert (one.low, one.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
        simultaneous = truth.confidence_interval(1 - 0.05 / 3)  # Bonferroni over three arms
        assert (one.adjusted_low, one.adjusted_high) == pytest.approx(tuple(simultaneous), rel=1e-9)
        assert one.difference == pytest.approx(np.mean(scores(treated)) - np.mean(scores(PLAIN)))
        assert (one.kind, one.better, one.seeds) == ("task", "higher", 5)
        tested[treated.name] = truth.pvalue
    # Holm by hand: the least of three p times 3, the next times 2, the last times 1, and never falling.
    least, middle, last = sorted(tested, key=tested.get)
    assert least == "up"
    wanted = {least: 3 * tested[least]}
    wanted[middle] = max(wanted[least], min(1, 2 * tested[middle]))
    wanted[last] = max(wanted[middle], tested[last])
    assert {name: of(found, name, SCORE).adjusted_p for name in tested} == pytest.approx(wanted)
    assert of(found, "up", SCORE).verdict == "improved"
    assert of(found, "same", SCORE).verdict == "unchanged within noise"


def test_holm_by_hand():
    # 4 x 0.01, 3 x 0.02, 2 x 0.03 (equal to the one before), 1 x 0.5
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_the_familywise_error():
    rng = np.random.default_rng(0)
    rejected = sum(min(holm(list(rng.random(6)))) < 0.05 for _ in range(4000))
    assert rejected / 4000 == pytest.approx(0.05, abs=0.012)  # 3.5 standard errors


def test_correction_grows_with_the_number_of_arms():
    alone = of(paired_differences([PLAIN, UP], SCORE), "up", SCORE)
    assert alone.adjusted_p == alone.p
    assert (alone.adjusted_low, alone.adjusted_high) == pytest.approx((alone.low, alone.high))
    among = of(paired_differences([PLAIN, UP, SAME], SCORE), "up", SCORE)
    assert among.adjusted_p == pytest.approx(2 * alone.p)
    assert among.adjusted_low < alone.low


def test_every_quantity_by_hand():
    treated = arm("t", [0.6, 0.7], [0.2, 0.1], calibration={"nll": 0.4, "ece": 0.15}, step_seconds=0.25)
    found = paired_differences([arm("none", [0.5, 0.5], [0.3, 0.3]), treated], SCORE)
    wanted = {
        SCORE: ("task", "higher", 0.5, 0.65),
        "accuracy": ("task", "higher", 0.8, 0.8),
        "nll": ("calibration", "lower", 0.5, 0.4),
        "ece": ("calibration", "lower", 0.1, 0.15),
        # 0.5 on the lines 0.15 q and 0.175 q, a quarter q each 10 steps
        "steps_to_reach": ("convergence", "lower", 40, (10 * 0.5 / 0.15 + 10 * 0.5 / 0.175) / 2),
        f"{SCORE}_gap": ("generalization", "lower", 0.2, 0.2),
        "nll_gap": ("generalization", "lower", 0.3, 0.2),
        "anisotropy_1": ("geometry", "lower", 0.3, 0.15),
        "anisotropy_1_uncentered": ("geometry", "lower", 0.7, 0.55),
        "hubness": ("geometry", "neither", 1.0, 1.0),
        "step_seconds": ("time", "lower", 0.2, 0.25),
        "regularizer_share": ("time", "lower", 0.0, 0.04),
    }
    assert [each.name for each in found] == list(wanted)
    for each in found:
        kind, better, plain, treated_mean = wanted[each.name]
        assert (each.kind, each.better) == (kind, better)
        assert (each.plain, each.treated) == pytest.approx((plain, treated_mean))


def test_an_improvement_is_in_the_direction_of_the_quantity():
    found = paired_differences([PLAIN, COSTLY], SCORE)
    assert of(found, "costly", SCORE).verdict == "worse"
    assert of(found, "costly", "anisotropy_1").verdict == "improved"
    swapped = paired_differences([PLAIN, arm("t", scores(PLAIN), [0.5, 0.53, 0.51, 0.55, 0.52])], SCORE)
    assert of(swapped, "t", "anisotropy_1").verdict == "worse"


def test_half_done_arms_are_paired_by_seed():
    shorter = arm("t", [0.6, 0.9], seeds=[3, 1])
    found = of(paired_differences([PLAIN, shorter], SCORE), "t", SCORE)
    assert (found.seeds, found.plain, found.treated) == (2, pytest.approx(0.525), pytest.approx(0.75))
    assert found.difference == pytest.approx(((0.6 - 0.52) + (0.9 - 0.53)) / 2)
    assert paired_differences([PLAIN, arm("t", [0.6], seeds=[9])], SCORE) == ()
    assert paired_differences([PLAIN, arm("t", [])], SCORE) == ()
    assert paired_differences([UP, SAME], SCORE) == ()  # no plain arm


def test_one_seed_says_nothing():
    found = paired_differences([arm("none", [0.5]), arm("t", [0.9], [0.1])], SCORE)
    one = of(found, "t", SCORE)
    assert one.difference == pytest.approx(0.4)
    assert (one.low, one.p, one.adjusted_low, one.adjusted_p, one.verdict) == (*[None] * 4, "not known")
    words = judged(arm("none", [0.5]), arm("t", [0.9], [0.1]), seeds=1)
    assert "not known: one seed" in words


def test_the_same_difference_in_all_seeds_is_no_certainty():
    found = paired_differences([PLAIN, arm("t", [score + 0.1 for score in scores(PLAIN)])], SCORE)
    one = of(found, "t", SCORE)
    assert one.difference == pytest.approx(0.1)
    assert (one.p, one.low, one.verdict) == (None, None, "not known")
    rounding = of(found, "t", f"{SCORE}_gap")  # 0.2 in all runs, up to rounding
    assert (rounding.difference, rounding.p, rounding.verdict) == (0.0, 1.0, "unchanged within noise")
    none = of(found, "t", "accuracy")  # no seed differs at all
    assert (none.p, none.low, none.high, none.verdict) == (1.0, 0.0, 0.0, "unchanged within noise")


def test_untested_arms_are_not_corrected_for():
    lucky = arm("t", [score + 0.1 for score in scores(PLAIN)])
    one = of(paired_differences([PLAIN, UP, lucky], SCORE), "up", SCORE)
    assert one.adjusted_p == one.p


def test_the_score_of_the_trained_model_ends_the_curve():
    steps, values = zip(*score_curve(run("t", 0, score=0.8), SCORE), strict=True)
    assert steps == (10, 20, 30, 40)
    assert values == pytest.approx((0.2, 0.4, 0.6, 0.8))
    short = run("t", 0, score=0.8, curve=({"step": 10.0, SCORE: 0.1},))
    assert score_curve(short, SCORE) == [(10, 0.1), (40, 0.8)]
    assert score_curve(short, "beauty") == []


def test_an_arm_that_never_reaches_the_target_is_not_judged_on_the_seeds_where_it_does():
    found = paired_differences([PLAIN, arm("t", [0.9, 0.9, 0.1, 0.95, 0.9])], SCORE)
    one = of(found, "t", "steps_to_reach")
    assert (one.seeds, one.p, one.verdict) == (4, None, "not known")
    targets = [(0.50, 0.9), (0.53, 0.9), (0.52, 0.95), (0.49, 0.9)]
    steps = [40 * target / score for target, score in targets]  # all lines start at 0
    assert (one.plain, one.treated) == pytest.approx((40, np.mean(steps)))
    never = paired_differences([PLAIN, arm("t", [0.1] * 5)], SCORE)
    assert [each for each in never if each.name == "steps_to_reach"] == []


def test_undefined_values_leave_their_seed_out():
    nan = arm("t", scores(UP), [math.nan, 0.1, 0.12, 0.11, 0.1])
    one = of(paired_differences([PLAIN, nan], SCORE), "t", "anisotropy_1")
    assert one.seeds == 4
    assert one.treated == pytest.approx((0.1 + 0.12 + 0.11 + 0.1) / 4)
    assert (one.p, one.low, one.verdict) == (None, None, "not known")  # the others are no fair sample
    assert [point.arm for point in front([PLAIN, nan], SCORE)] == ["none"]


def test_front_by_its_definition():
    arms = [PLAIN, UP, SAME, ROUND, COSTLY, arm("dominated", [0.3] * 5, [0.9] * 5)]
    points = front(arms, SCORE)
    assert [point.arm for point in points] == [each.name for each in arms]
    for point in points:
        beaten = any(
            o.score >= point.score
            and o.anisotropy <= point.anisotropy
            and (o.score, o.anisotropy) != (point.score, point.anisotropy)
            for o in points
        )
        assert point.on_front is not beaten
    on = {point.arm for point in points if point.on_front}
    assert {"up", "round", "costly"} <= on
    assert "dominated" not in on
    tie = front([arm("none", [0.5]), arm("as good", [0.5], [0.1]), arm("twin", [0.5], [0.1])], SCORE)
    assert [point.on_front for point in tie] == [False, True, True]
    assert points[0].score == pytest.approx(np.mean(scores(PLAIN)))
    assert points[0].score_error == pytest.approx(stats.sem(scores(PLAIN)))
    assert points[0].anisotropy_error == pytest.approx(stats.sem([0.3, 0.31, 0.32, 0.33, 0.34]))


def test_front_compares_the_same_seeds():
    points = front([PLAIN, arm("t", [0.6, 0.9], seeds=[3, 1])], SCORE)
    assert points[0].score == pytest.approx((0.53 + 0.52) / 2)
    assert front([PLAIN, arm("t", [0.6], seeds=[9])], SCORE) == ()
    (one,) = front([arm("none", [0.5]), arm("t", [])], SCORE)
    assert (one.score_error, one.on_front) == (None, True)
    uncentered = front([PLAIN], SCORE, measure="anisotropy_1_uncentered")
    assert uncentered[0].anisotropy == pytest.approx(0.72)


def test_verdict_names_what_else_is_worse_with_who_helps():
    """A score can not tell: the log likelihood of one arm is worse in every seed, by more in some."""

    def with_nll(made, values):
        runs = zip(made.runs, values, strict=True)
        return made.model_copy(
            update={"runs": tuple(run.model_copy(update={"calibration": {"nll": nll}}) for run, nll in runs)}
        )

    plain = with_nll(PLAIN, [0.50, 0.52, 0.48, 0.51, 0.49])
    sure = with_nll(ROUND, [0.70, 0.71, 0.69, 0.73, 0.68])
    as_good = with_nll(UP, [0.51, 0.51, 0.49, 0.50, 0.50])
    named = "Worse beyond noise all the same: round (nll)."
    assert named in judged(plain, sure, as_good)
    assert "all the same" not in judged(plain, as_good)
    assert "all the same" not in judged(
        plain, with_nll(COSTLY, [0.9, 0.8, 0.9, 0.8, 0.7])
    )  # it does not help


def test_verdict_names_who_helps():
    words = judged(PLAIN, UP, SAME, ROUND, COSTLY)
    improves, lowers, harms, corrected = words.split(". ")
    assert improves.startswith("up (Matthews correlation +0.052 [")
    assert improves.endswith("improves the task")
    assert lowers.startswith("round (anisotropy_1, centered -0.100 [")
    assert "with no harm to the task beyond noise" in lowers
    assert harms.startswith("costly (")
    assert harms.endswith("lowers anisotropy but harms the task")
    assert "Over 5 seeds, corrected for 4 comparisons" in corrected


def test_verdict_does_not_call_a_wide_interval_harmless():
    """Three seeds lose 0.107, 0.198 and 0.290 of 0.473, beyond the noise of the dev set, and p is 0.06."""
    plain = arm("none", [0.474, 0.484, 0.460], [0.74, 0.73, 0.73])
    lost = arm("lost", [0.367, 0.285, 0.170], [0.17, 0.13, 0.13])
    words = judged(plain, lost)
    lowest = stats.t.interval(0.95, 2, -np.mean([0.107, 0.199, 0.290]), stats.sem([0.107, 0.199, 0.290]))[0]
    assert words.startswith("lost (anisotropy_1, centered -0.590 [")
    assert (
        "lowers centered anisotropy; harm to the task is neither shown nor ruled out, up to "
        f"{-lowest:.3f} with lost, of 0.473. More seeds would tell." in words
    )
    assert "with no harm" not in words
    both = judged(PLAIN, ROUND, arm("wide", [0.30, 0.70, 0.40, 0.60, 0.48], [0.20, 0.22, 0.21, 0.24, 0.23]))
    assert both.startswith("round (")
    assert "no harm to the task beyond noise. wide (" in both


def test_verdict_leaves_the_model_alone():
    worse = arm("w", [0.49, 0.50, 0.48, 0.51, 0.48], [0.31, 0.33, 0.31, 0.34, 0.33])
    assert judged(PLAIN, worse).startswith("Leave this model alone: plain training is on the front")
    assert "costly" in judged(PLAIN, COSTLY)
    assert judged(PLAIN, COSTLY).startswith("Leave this model alone")
    assert "one comparison, so none to correct for" in judged(PLAIN, COSTLY)


def test_verdict_asks_for_more_seeds_where_an_arm_is_ahead_within_noise():
    ahead = arm("ahead", [0.60, 0.44, 0.56, 0.43, 0.52], [0.40, 0.20, 0.41, 0.20, 0.33])
    words = judged(PLAIN, ahead)
    assert words.startswith("No arm is better than plain training beyond noise. On average ahead is ahead")
    assert "more seeds would tell" in words


def test_verdict_does_not_claim_that_an_unknown_effect_is_none():
    lucky = arm("lucky", [score + 0.1 for score in scores(PLAIN)], [0.20, 0.22, 0.21, 0.24, 0.23])
    words = judged(PLAIN, lucky)
    assert words.startswith("lucky (anisotropy_1, centered -0.100 [")
    assert "lowers centered anisotropy; what that does to the task is not known." in words
    assert "Leave" not in words


def test_verdict_without_anything_to_compare():
    assert judged(PLAIN, arm("t", [])).startswith("Nothing can be said yet")
