import numpy as np
import pytest
from scipy import stats

from conescope._intervals import jackknife_interval, student_interval


def test_student_interval_is_that_of_the_one_sample_t_test():
    changes = [0.02, -0.01, 0.04]
    expected = stats.ttest_1samp(changes, 0).confidence_interval(0.95)
    assert student_interval(changes) == pytest.approx((expected.low, expected.high))


def test_one_seed_has_no_student_interval():
    assert student_interval([0.3]) is None


def test_leaving_out_one_by_one_gives_the_standard_error_of_a_mean():
    values = np.random.default_rng(0).normal(size=40)
    low, high = jackknife_interval(lambda rows: float(values[rows].mean()), 40, groups=20)
    # groups of two: the error is that of the means of the pairs, over the square root of their number
    order = np.random.default_rng(0).permutation(40)
    pairs = np.array([values[order[g::20]].mean() for g in range(20)])
    half = stats.t.ppf(0.975, 19) * pairs.std(ddof=1) / 20**0.5
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half))


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        values = rng.normal(size=100)
        low, high = jackknife_interval(lambda rows, v=values: float(v[rows].mean()), 100)
        hits += low <= 0 <= high
    assert 0.92 <= hits / 400 <= 0.98  # 0.95 with a standard error of 0.011


def test_too_few_rows_and_undefined_values_have_no_interval():
    assert jackknife_interval(lambda rows: 0.0, 19) is None
    assert jackknife_interval(lambda rows: float("nan"), 50) is None
