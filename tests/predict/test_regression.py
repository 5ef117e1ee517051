"""The arithmetic: least squares, errors on rows held out, intervals, correlations, chance."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress, pearsonr, rankdata, spearmanr
from scipy.stats import t as student
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneGroupOut, LeaveOneOut, cross_val_predict

from conescope.predict.associations import associations, partial
from conescope.predict.held_out import baseline, leave_group_out, leave_one_out, summary
from conescope.predict.least_squares import explained, least_squares, left_out_errors, permutation, terms
from conescope.predict.model import UNKNOWN, Rows, design, fit_model, guess, rank_among

LINE = ["constant", "x"]


def rows(n=30, k=2, seed=0, count=1):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, k)) * [1, 100][:k]
    groups = rng.permutation(np.arange(n) % count)
    return Rows(features, groups, features @ [1, -0.02][:k] + groups + rng.normal(size=n))


def named(found, count=1):
    return [f"t{n}" for n in range(found.features.shape[1] + count)]


def test_a_line_by_hand():
    # x 0 1 2 3, y 1 2 2 5: means 1.5 and 2.5, Sxy 6, Sxx 5, so slope 1.2 and constant 0.7
    # residuals .3 .1 -1.1 .7, squares sum 1.8; total 9; so R^2 .8 and s^2 .9
    x, y = np.arange(4.0), np.array([1.0, 2.0, 2.0, 5.0])
    fit = least_squares(np.column_stack([np.ones(4), x]), y, LINE)
    np.testing.assert_allclose(fit.coefficients, [0.7, 1.2])
    assert explained(fit, y) == pytest.approx(0.8)
    assert fit.freedom == 2
    assert fit.deviation == pytest.approx(math.sqrt(0.9))
    # leverage 1/4 + (x - 1.5)^2 / 5 = .7 .3 .3 .7
    np.testing.assert_allclose(left_out_errors(fit), [0.3 / 0.3, 0.1 / 0.7, -1.1 / 0.7, 0.7 / 0.3])


def test_terms_equal_those_of_scipy():
    found = rows(k=1)
    x, y = found.features[:, 0], found.target
    constant, slope = terms(least_squares(design(found.features, found.groups, 1), y, LINE), LINE)
    known = linregress(x, y)
    assert (slope.value, slope.p) == pytest.approx((known.slope, known.pvalue))
    assert constant.value == pytest.approx(known.intercept)
    quantile = 2.0484071418  # Student's t with 28 degrees of freedom, from a printed table
    assert slope.high - slope.value == pytest.approx(quantile * known.stderr)
    assert constant.value - constant.low == pytest.approx(quantile * known.intercept_stderr)


def test_terms_of_several_features_and_groups_equal_scikit_learn_and_the_textbook():
    found, names = rows(count=3), ["constant", "x", "z", "b", "c"]
    columns = design(found.features, found.groups, 3)
    fit = least_squares(columns, found.target, names)
    known = LinearRegression().fit(columns[:, 1:], found.target)
    np.testing.assert_allclose(fit.coefficients, [known.intercept_, *known.coef_], rtol=1e-9)
    off = found.target - known.predict(columns[:, 1:])
    covariance = np.linalg.inv(columns.T @ columns) * (off @ off) / 25  # 30 rows, 5 terms
    np.testing.assert_allclose(fit.inverse * fit.deviation**2, covariance, rtol=1e-8)
    errors = np.sqrt(np.diag(covariance))
    for term, error in zip(terms(fit, names), errors, strict=True):
        assert term.p == pytest.approx(2 * student.sf(abs(term.value) / error, 25), rel=1e-6)
        assert term.high - term.value == pytest.approx(student.ppf(0.975, 25) * error)


def test_an_exact_fit_has_intervals_of_no_width():
    x = np.arange(5.0)
    fit = least_squares(np.column_stack([np.ones(5), x]), np.zeros(5), LINE)
    assert [(term.value, term.low, term.high, term.p) for term in terms(fit, LINE)] == [(0, 0, 0, 0)] * 2


def test_collinear_columns_are_named():
    x = np.arange(6.0)
    one = np.ones(6)
    with pytest.raises(ValueError, match="f is constant in the 6 rows used"):
        least_squares(np.column_stack([one, x, 0 * x]), x**2, ["constant", "x", "f"])
    with pytest.raises(ValueError, match=r"must not determine each other, but (x|f) is"):
        least_squares(np.column_stack([one, x, 1e9 * x + 3]), x**2, ["constant", "x", "f"])
    with pytest.raises(ValueError, match="at least 4 rows that have all columns, but there are 3"):
        least_squares(np.eye(3), np.ones(3), ["a", "b", "c"])


@pytest.mark.parametrize("count", [1, 3])
def test_leave_one_out_equals_refitting(count):
    found = rows(count=count)
    columns = design(found.features, found.groups, count)
    guessed = cross_val_predict(
        LinearRegression(fit_intercept=False), columns, found.target, cv=LeaveOneOut()
    )
    np.testing.assert_allclose(
        leave_one_out("linear", found, named(found, count)), found.target - guessed, rtol=1e-9, atol=1e-12
    )


def test_leave_one_out_of_ranks_equals_the_steps():
    found = rows(n=12, k=1)
    x, y = found.features[:, 0], found.target
    expected = []
    for out in range(12):
        keep = np.delete(np.arange(12), out)
        line = linregress(rankdata(x[keep]), rankdata(y[keep]))
        rank = line.intercept + line.slope * ((x[keep] < x[out]).sum() + 0.5)  # x has no ties
        expected.append(y[out] - np.interp(rank, np.arange(1, 12), np.sort(y[keep])))
    np.testing.assert_allclose(leave_one_out("rank", found, named(found)), expected)


def test_leave_group_out_equals_scikit_learn_without_terms_of_groups():
    found = rows()
    parts = np.arange(30) % 4
    guessed = cross_val_predict(
        LinearRegression(), found.features, found.target, groups=parts, cv=LeaveOneGroupOut()
    )
    np.testing.assert_allclose(leave_group_out("linear", found, parts), found.target - guessed, rtol=1e-9)


def test_a_group_that_is_out_takes_the_mean_constant_of_the_others():
    x = np.array([0.0, 1, 2, 0, 1, 2, 0, 1, 2])
    groups = np.repeat([0, 1, 2], 3)
    found = Rows(x[:, None], groups, x + np.array([0.0, 4.0, 100.0])[groups])  # slope 1 in each
    errors = leave_group_out("linear", found, groups)
    np.testing.assert_allclose(errors, np.repeat([0 - 52.0, 4 - 50.0, 100 - 2.0], 3))
    np.testing.assert_allclose(
        baseline(found.target, groups), found.target - np.repeat([53.0, 51.0, 3.0], 3)
    )  # means of the others: (5 + 101) / 2, (1 + 101) / 2, (1 + 5) / 2


@pytest.mark.parametrize("kind", ["linear", "rank"])
def test_the_only_row_of_a_group_is_undetermined(kind):
    x = np.arange(8.0)
    groups = np.array([0] * 7 + [1])
    found = Rows(x[:, None], groups, np.sin(x))
    errors = leave_one_out(kind, found, named(found, 2))
    assert np.isnan(errors).tolist() == [False] * 7 + [True]
    told = summary(errors, baseline(found.target, np.arange(8)))
    assert (told.rows, told.undetermined) == (7, 1)
    assert told.rmse == pytest.approx(math.sqrt((errors[:7] ** 2).mean()))


def test_the_baseline_of_one_row_is_the_mean_of_the_others():
    np.testing.assert_allclose(baseline(np.array([1.0, 2.0, 6.0]), np.arange(3)), [-3, -1.5, 4.5])


def test_nothing_is_left_when_all_rows_are_one_part():
    found = rows()
    parts = np.zeros(30, dtype=np.int64)
    told = summary(leave_group_out("linear", found, parts), baseline(found.target, parts))
    assert (told.rows, told.undetermined, told.rmse, told.baseline_rmse) == (0, 30, None, None)


def test_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        x = rng.normal(size=(12, 1))
        y = 3 * x[:, 0] + rng.normal(size=12)
        model = fit_model("linear", Rows(x[:10], np.zeros(10, dtype=np.int64), y[:10]), LINE)[0]
        found = guess(model, x[10:], np.zeros(2, dtype=np.int64))
        covered += ((found.low <= y[10:]) & (y[10:] <= found.high)).tolist()
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)  # 3 standard errors of 800 draws: 0.023


def test_the_interval_of_an_unknown_group_by_hand():
    x = np.tile(np.arange(4.0), 3)
    groups = np.repeat([0, 1, 2], 4)
    found = Rows(x[:, None], groups, 2 * x + np.array([0.0, 3.0, 6.0])[groups])  # exact: no residual
    model = fit_model("linear", found, named(found, 3))[0]
    new = guess(model, np.array([[10.0]]), np.array([UNKNOWN]))
    assert new.value[0] == pytest.approx(23)  # 20 + (0 + 3 + 6) / 3
    # variance of 0, 3, 6 is 9, times 4/3 is 12; t with 2 degrees of freedom is 4.30265
    assert new.high[0] - 23 == pytest.approx(4.3026527 * math.sqrt(12))
    alone = fit_model("linear", Rows(x[:, None], 0 * groups, 2 * x + x**2), LINE)[0]
    assert np.isnan(guess(alone, np.array([[10.0]]), np.array([UNKNOWN])).low[0])


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=20))
def test_ranks_among_themselves_are_those_of_scipy(values):
    column = np.array(values, dtype=float)
    np.testing.assert_array_equal(rank_among(np.sort(column), column), rankdata(column))


def test_a_model_of_ranks_does_not_see_the_scale():
    found = rows(k=1)
    bent = Rows(np.exp(found.features), found.groups, found.target**3)
    new = np.array([[0.1], [5.0]])
    one = guess(fit_model("rank", found, LINE)[0], new, np.zeros(2, dtype=np.int64))
    other = guess(fit_model("rank", bent, LINE)[0], np.exp(new), np.zeros(2, dtype=np.int64))
    ranks = [rank_among(np.sort(each.target), each.target) for each in (found, bent)]
    np.testing.assert_array_equal(*ranks)
    below = [np.searchsorted(np.sort(target), value) for target, value in
             ((found.target, one.value), (bent.target, other.value))]  # fmt: skip
    np.testing.assert_array_equal(*below)
    assert other.high.max() <= bent.target.max()


def test_correlations_equal_those_of_scipy():
    found = rows(k=1)
    x, y = found.features[:, 0], found.target
    linear, rank = associations(found.features, ["x"], y)
    known = pearsonr(x, y)
    assert (linear.value, linear.p) == pytest.approx((known.statistic, known.pvalue))
    assert (linear.low, linear.high) == pytest.approx(tuple(known.confidence_interval()))  # Fisher's, too
    known = spearmanr(x, y)
    assert (rank.value, rank.p) == pytest.approx((known.statistic, known.pvalue))


def test_a_partial_correlation_is_the_textbook_formula_of_three():
    rng = np.random.default_rng(1)
    x, y, z = rng.normal(size=(3, 40)) + rng.normal(size=40)
    (xy, xz, yz) = (np.corrcoef(*pair)[0, 1] for pair in ((x, y), (x, z), (y, z)))
    expected = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
    found = partial("x", "linear", ("z",), x, y, z[:, None])
    assert found.value == pytest.approx(expected)
    # the p of a partial correlation is that of its coefficient in the regression
    fit = least_squares(np.column_stack([np.ones(40), x, z]), y, ["constant", "x", "z"])
    assert found.p == pytest.approx(terms(fit, ["constant", "x", "z"])[1].p)
    half = 1.959963985 / math.sqrt(40 - 1 - 3)
    assert found.low == pytest.approx(math.tanh(math.atanh(expected) - half))
    ranks = [rankdata(each) for each in (x, y, z)]
    (xy, xz, yz) = (np.corrcoef(*pair)[0, 1] for pair in (ranks[:2], ranks[::2], ranks[1:]))
    given_ranks = associations(x[:, None], ["x"], y, control=("z", z))[3]
    assert given_ranks.given == ("rank of z",)
    assert given_ranks.value == pytest.approx((xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2)))


def test_what_a_control_fixes_has_no_correlation():
    z = np.linspace(0, 1, 20)
    found = associations((3 * z + 1)[:, None], ["x"], np.sin(9 * z), control=("z", z))
    assert [one.value is None for one in found] == [False, False, True, True, True]
    assert found[2].within_noise


def test_permutations_of_noise_have_the_mean_of_theory():
    rng = np.random.default_rng(0)
    columns = np.column_stack([np.ones(50), rng.normal(size=(50, 4))])
    target = rng.normal(size=50)
    fit = least_squares(columns, target, list("abcde"))
    found = permutation(fit, target, np.zeros(50, dtype=np.int64), draws=4000, seed=3)
    assert found.mean == pytest.approx(4 / 49, abs=0.003)  # E R^2 = k / (n - 1), for any fixed target
    assert 0.01 < found.p < 1


def test_permutations_stay_within_groups():
    groups = np.repeat([0, 1], 10)
    target = groups * 100.0 + np.tile([0.0, 1.0], 10)
    x = np.random.default_rng(0).normal(size=20)
    columns = design(x[:, None], groups, 2)
    fit = least_squares(columns, target, ["constant", "x", "g"])
    within = permutation(fit, target, groups, draws=200, seed=0)
    assert within.mean > 0.999  # what the groups explain stays
    across = permutation(fit, target, np.zeros(20, dtype=np.int64), draws=200, seed=1)
    assert across.mean == pytest.approx(2 / 19, abs=0.05)
    assert across.p == 1 / 201


def test_a_fit_that_chance_always_reaches_has_p_one():
    target = np.array([0.0, 1.0, 0.0, 1.0, 5.0])
    fit = least_squares(np.column_stack([np.ones(5), np.eye(5)[:, 4]]), target, ["constant", "x"])
    alone = np.arange(5)  # each row its own group: nothing moves
    assert permutation(fit, target, alone, draws=20, seed=0).p == 1
