"""`conescope predict` as a user meets it."""

import json

import pytest

from conescope.cli import main
from conescope.cli.tables import number
from conescope.predict import apply, predict
from conescope.results import Predicted, Prediction
from tests.predict.tables import families, written

FIT = ["--target", "y", "--features", "x,z", "--group", "family", "--draws", 19]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    written(tmp_path / "table.csv", **families())
    written(tmp_path / "other.csv", **families(seed=1))
    written(tmp_path / "new.csv", x=[0.5], z=[0.1], family=["new"], known=[1.0])


@pytest.fixture
def run(capsys):
    def run(*arguments):
        """Return exit code, stdout and stderr."""
        with pytest.raises(SystemExit) as stopped:
            main(["predict", *map(str, arguments)])
        return stopped.value.code or 0, *capsys.readouterr()

    return run


def expected(**options):
    return predict("table.csv", target="y", features=["x", "z"], group="family", draws=19, **options)


def test_json_is_the_model_and_nothing_else(run):
    code, out, err = run("table.csv", *FIT, "--seed", 3, "--json")
    assert (code, err) == (0, "")
    assert Prediction.model_validate_json(out) == expected(seed=3)


def test_a_model_is_stored_and_applied_later(run):
    code, out, _ = run("table.csv", *FIT, "-o", "model.json", "--apply", "other.csv", "--json")
    assert code == 0
    both = json.loads(out)
    found = expected()
    assert Prediction.model_validate(both[0]) == found
    applied = apply(found, "other.csv")
    assert Predicted.model_validate(both[1]) == applied
    code, out, _ = run("model.json", "--apply", "other.csv", "--json")
    assert (code, Predicted.model_validate_json(out)) == (0, applied)
    code, out, _ = run("model.json", "--apply", "other.csv", "--kind", "rank", "--json")
    assert Predicted.model_validate_json(out) == apply(found, "other.csv", kind="rank")


def test_tables(run):
    code, out, err = run(
        "table.csv", *FIT, "--apply", "new.csv", "--truth", "known", "--unknown-groups", "mean"
    )
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    found = expected()
    cells = {line.split("  ")[0].strip(): line.split() for line in out.splitlines()}
    assert cells["R^2"][1:] == [number(found.linear.r2), number(found.rank.r2)]
    slope = found.linear.coefficients[1]
    expected_line = ["x", *map(number, (slope.value, slope.low, slope.high, slope.p))]
    assert expected_line in [line.split() for line in out.splitlines()]
    new = apply(found, "new.csv", truth="known", unknown_groups="mean").rows[0]
    assert cells["row 1"][2:6] == [number(end) for end in (new.predicted, new.low, new.high, new.known)]
    assert "note: 1 of 1 rows are of no group that the model has seen" in out


def test_rows_left_out_are_told(run, tmp_path):
    columns = {name: list(column) for name, column in families().items()}
    columns["x"][4] = ""
    written(tmp_path / "gaps.csv", **columns)
    code, out, _ = run("gaps.csv", *FIT)
    assert code == 0
    assert "1 rows left out: row 5 (x is missing)" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table.csv"], "needs --target with one column and --features with one or more"),
        (["none.csv", *FIT], "none.csv"),
        (["table.csv", "--target", "y", "--features", "nope"], "has no column 'nope'"),
        (["table.csv", *FIT, "--kind", "cubic"], "--kind must be linear or rank; got 'cubic'"),
        (["table.csv", *FIT, "--unknown-groups", "x"], "must be refuse or mean; got 'x'"),
        (["table.csv", *FIT, "--apply", "new.csv"], "but there is 'new'"),
        (["bad.json", "--apply", "other.csv"], "must be a model that `conescope predict -o` wrote"),
        (["table.csv", *FIT, "--truth", "known"], "--truth is about the table of --apply"),
        (["table.csv", *FIT, "--kind", "rank"], "--kind is about the table of --apply"),
        (["bad.json"], "name the table to apply it to with --apply"),
        (["bad.json", "--target", "y"], "--target is for fitting one: leave it out"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, tmp_path, arguments, message):
    (tmp_path / "bad.json").write_text("{}")
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("conescope: ")
    assert len(err.splitlines()) == 1
    assert message in err
