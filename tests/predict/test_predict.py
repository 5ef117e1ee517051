"""`predict` and `apply` as a user meets them: planted effects, doses, gaps, groups, and what is refused."""

import math

import numpy as np
import pytest

from conescope.predict import apply, predict, read_columns
from conescope.results import Predicted, Prediction
from tests.predict.tables import families, table, written


def doses(n=90, seed=0):
    """Return a score and a number that both follow a dose along curves, and else nothing."""
    rng = np.random.default_rng(seed)
    dose = np.linspace(0.5, 30, n)
    return {
        "dose": dose,
        "geometry": 1 / dose**0.5 + 0.02 * rng.normal(size=n),
        "score": np.exp(-dose / 10) + 0.02 * rng.normal(size=n),
    }


def test_planted_constants_and_slopes_are_found():
    found = predict(table(**families()), target="y", features=["x", "z"], group="family", draws=99)
    truth = {"constant": 0, "x": 2, "z": 0, "family=b": 1, "family=c": -2}
    for term in found.linear.coefficients:
        assert term.low < truth[term.name] < term.high
        assert term.high - term.low < 0.6
    assert [term.name for term in found.linear.coefficients] == list(truth)
    assert found.linear.leave_one_out.rmse == pytest.approx(0.3, abs=0.06)
    assert found.linear.chance.p == 0.01
    assert found.groups == ("a", "b", "c")
    assert [one.name for one in found.linear.groups_out] == ["a", "b", "c"]
    assert found.linear.leave_group_out.rows == 60


def test_r_is_the_correlation_of_fitted_and_observed():
    columns = families()
    found = predict(table(**columns), target="y", features=["x"], draws=9)
    assert found.linear.r == pytest.approx(abs(np.corrcoef(columns["x"], columns["y"])[0, 1]))
    assert found.linear.r == pytest.approx(found.association("x", "linear").value)
    assert found.rank.r == pytest.approx(found.association("x", "rank").value)
    assert found.linear.leave_group_out is None


def test_rows_held_out_by_a_column_that_has_no_terms():
    found = predict(table(**families()), target="y", features=["x"], hold_out="family", draws=9)
    assert len(found.linear.coefficients) == 2
    assert [one.name for one in found.linear.groups_out] == ["a", "b", "c"]
    squares = [one.errors.rmse**2 for one in found.linear.groups_out]
    assert found.linear.leave_group_out.rmse == pytest.approx(math.sqrt(np.mean(squares)))


def test_a_dose_that_explains_it_all_is_told():
    found = predict(table(**doses()), target="score", features=["geometry"], control="dose", draws=9)
    assert found.association("geometry", "linear").value > 0.85
    assert found.dose.explains_all
    assert found.dose.control_rmse < found.dose.features_rmse
    assert "geometry" in found.dose.within_noise
    assert found.notes[0].startswith("dose may explain it all: alone it predicts")


def test_a_feature_beyond_the_dose_gives_no_warning():
    columns = doses()
    own = np.random.default_rng(5).normal(size=90)
    columns["geometry"] = own + 0.1 * columns["dose"]
    columns["score"] = own + 0.1 * columns["dose"]
    columns["score"] = columns["score"] + 0.05 * np.random.default_rng(6).normal(size=90)
    found = predict(table(**columns), target="score", features=["geometry"], control="dose", draws=9)
    assert (found.dose.explains_all, found.dose.within_noise) == (False, ())
    assert not any("dose" in note for note in found.notes)


def test_a_correlation_that_turns_around_given_the_dose_is_told():
    columns = doses()
    wiggle = 0.3 * np.sin(np.arange(90) * 2.0)
    columns["geometry"] = -columns["dose"] + 10 * wiggle
    columns["score"] = -columns["dose"] - 10 * wiggle
    found = predict(table(**columns), target="score", features=["geometry"], control="dose", draws=9)
    assert found.association("geometry", "rank").value > 0.8
    assert found.association("geometry", "rank", "rank of dose").value < -0.8
    assert found.dose.turned == ("geometry",)
    assert any("turns around" in note for note in found.notes)


def test_noise_is_told_to_be_chance():
    x, y = np.random.default_rng(2).normal(size=(2, 30))
    found = predict(table(x=x, y=y), target="y", features=["x"], draws=199)
    assert found.linear.chance.p > 0.05
    assert any(note.startswith("the linear fit is within chance") for note in found.notes)


def test_a_slope_that_differs_between_groups_is_told_not_to_carry_over():
    x = np.linspace(-1, 1, 10)
    columns = {"x": np.tile(x, 2), "y": np.append(x, -0.5 * x), "g": np.repeat(["a", "b"], 10)}
    found = predict(table(**columns), target="y", features=["x"], hold_out="g", draws=19)
    out = found.linear.leave_group_out  # each group is predicted with the other's slope: 1.5 |x| off
    assert out.rmse == pytest.approx(1.5 * math.sqrt((x**2).mean()))
    assert out.baseline_rmse == pytest.approx(math.sqrt((x**2).mean() * (1 + 0.25) / 2))
    assert any(note.startswith("the linear fit does not carry over: held out by g") for note in found.notes)


def test_rows_that_held_out_groups_leave_without_a_prediction_are_told():
    x = np.append(np.zeros(5), np.arange(5.0))  # constant without b
    columns = {"x": x, "y": x + np.random.default_rng(0).normal(size=10), "g": np.repeat(["a", "b"], 5)}
    found = predict(table(**columns), target="y", features=["x"], hold_out="g", draws=19)
    assert (found.linear.leave_group_out.rows, found.linear.leave_group_out.undetermined) == (5, 5)
    told = "5 rows can not be predicted by the {} fit when all of their g are held out"
    for kind in ("linear", "rank"):
        assert sum(note.startswith(told.format(kind)) for note in found.notes) == 1


def test_rows_with_gaps_are_named_and_left_out():
    columns = {name: list(column) for name, column in families().items()}
    columns["model"] = [f"m{n}" for n in range(60)]
    whole = predict(
        table(**{k: v[3:] for k, v in columns.items()}), target="y", features=["x"], group="family"
    )
    columns["x"][0], columns["y"][1], columns["family"][2], columns["z"][5] = "", "NaN", " ", ""
    columns["x"][1] = "inf"
    found = predict(table(**columns), target="y", features=["x"], group="family")
    assert [(row.name, row.why) for row in found.left_out] == [
        ("m0", "x is missing"),
        ("m1", "y is missing, x is infinite"),
        ("m2", "family is missing"),
    ]
    assert found.rows == 57
    assert found.linear == whole.linear


def test_the_same_seed_gives_the_same_model_and_json_keeps_it():
    columns = table(**families())
    one, same, other = (predict(columns, target="y", features=["z"], seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one.linear.chance.mean != other.linear.chance.mean
    assert Prediction.model_validate_json(one.to_json()) == one


@pytest.mark.parametrize("kind", ["linear", "rank"])
def test_a_stored_model_predicts_what_it_fitted(kind):
    columns = families()
    found = predict(table(**columns), target="y", features=["x", "z"], group="family", draws=9)
    applied = apply(Prediction.model_validate_json(found.to_json()), table(**columns), kind=kind)
    assert Predicted.model_validate_json(applied.to_json()) == applied
    assert applied.errors.rows == 60
    if kind == "linear":
        residual = found.linear.deviation * math.sqrt(found.linear.freedom / 60)
        assert applied.errors.rmse == pytest.approx(residual)
        assert applied.r == pytest.approx(found.linear.r)
    assert 54 <= applied.covered <= 60
    assert applied.errors.baseline_rmse == pytest.approx(np.std(columns["y"]))
    assert all(row.low < row.predicted < row.high for row in applied.rows if kind == "linear")
    assert applied.notes == ()


def test_rows_without_a_known_target_are_predicted_and_those_without_a_feature_named():
    found = predict(table(**families()), target="y", features=["x"], draws=9)
    slope, constant = found.linear.coefficients[1].value, found.linear.coefficients[0].value
    new = table(model=["p", "q", "r", "s"], x=[0, 50, "", 1], score=["", 3, 4, ""])
    applied = apply(found, new, truth="score")
    assert [row.name for row in applied.rows] == ["p", "q", "s"]
    assert [row.predicted for row in applied.rows] == pytest.approx(
        [constant, constant + 50 * slope, constant + slope]
    )
    assert [row.known for row in applied.rows] == [None, 3, None]
    assert [row.outside for row in applied.rows] == [(), ("x",), ()]
    assert [(row.name, row.why) for row in applied.left_out] == [("r", "x is missing")]
    assert (applied.errors.rows, applied.r) == (1, None)
    assert applied.errors.rmse == pytest.approx(abs(3 - constant - 50 * slope))
    assert applied.notes[0].startswith("1 of 3 rows lie outside")
    assert apply(found, new).errors is None


def test_unknown_groups_are_refused_or_take_the_mean():
    found = predict(table(**families(noise=0.01)), target="y", features=["x"], group="family", draws=9)
    new = {"x": [0.0, 0.0], "family": ["b", "new"], "y": [1.0, 0.0]}
    with pytest.raises(ValueError, match="the model has seen in each row, of a, b, c, but there is 'new'"):
        apply(found, table(**new))
    with pytest.raises(ValueError, match="but there is no 'family'"):
        apply(found, table(x=[0.0]))
    seen, unseen = apply(found, table(**new), unknown_groups="mean").rows
    assert seen.predicted == pytest.approx(1, abs=0.02)
    assert unseen.predicted == pytest.approx((0 + 1 - 2) / 3, abs=0.02)
    assert unseen.high - unseen.low > 10 * (seen.high - seen.low)
    without = apply(found, table(x=[0.0]), unknown_groups="mean")
    assert without.rows[0].predicted == pytest.approx(unseen.predicted)
    assert without.notes == (
        "1 of 1 rows are of no group that the model has seen: they take the mean constant of a, b, c",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": []}, "a feature to predict from, but none is named"),
        ({"features": ["x", "x"]}, "'x' is named 2 times"),
        ({"features": ["y"]}, "'y' is named 2 times"),
        ({"features": ["x"], "control": "x"}, "'x' is named 2 times"),
        ({"features": ["famly"]}, "has no column 'famly': name one that it has, such as 'family', of 'x'"),
        ({"features": ["family"]}, "must hold numbers, but row 1 has 'a'"),
        ({"features": ["x"], "draws": 0}, "at least 1, got 0"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        predict(table(**families()), target="y", **options)


def test_a_control_of_zeros_is_named():
    columns = families() | {"alpha": [0.0] * 60}
    with pytest.raises(ValueError, match="but alpha is constant in the 60 rows used"):
        predict(table(**columns), target="y", features=["x"], control="alpha")


def test_a_constant_target_is_refused():
    with pytest.raises(ValueError, match="the target must vary, but it is 3 in all rows"):
        predict(table(x=range(9), y=[3] * 9), target="y", features=["x"])


def test_reading(tmp_path):
    path = written(tmp_path / "a.csv", **{"": ["one", "two, too"], "x": [1, ""]})
    found = read_columns(path)
    assert found.names == ("one", "two, too")
    assert found.column("x") == ("1", "")
    np.testing.assert_array_equal(found.numbers("x"), [1, np.nan])
    assert read_columns(written(tmp_path / "b.csv", x=[1, 2])).names == ("row 1", "row 2")
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbfx,y\r\n1,2\r\n\r\n")
    assert read_columns(tmp_path / "bom.csv").cells == {"x": ("1",), "y": ("2",)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x,y\n", "rows below it, but has 1 lines"),
        (b"x,x\n1,2\n", "must differ, but 'x' stands there twice"),
        (b"x,y\n1,2\n1,2,3\n", "line 3 of .* must have 2 cells as its headings do, but has 3"),
        (b"x\n\xff\n", "must be a CSV file in UTF-8"),
    ],
)
def test_files_that_are_no_table(tmp_path, content, message):
    (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_columns(tmp_path / "bad.csv")
