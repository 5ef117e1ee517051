"""`conescope check`: bounds hold at their exact value, and the exit code says what happened."""

import json
import math

import numpy as np
import pytest

from conescope.cli import main
from conescope.cli.check import Bound
from conescope.results import MeasuredValue
from conescope.survey.statistics import Statistics


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys):
    def run(*arguments):
        """Return exit code, stdout and stderr."""
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        return stopped.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def corner():
    """Three unit vectors: two equal, one at a right angle. Cosines of pairs: 1, 0, 0; mean 1/3."""
    np.save("corner.npy", np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    return "corner.npy"


@pytest.fixture
def square():
    """A centered cross of 52 points: mean cosine -1/51, effective rank 2, norms of 1."""
    np.save("square.npy", np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]] * 13))
    return "square.npy"


@pytest.mark.parametrize(
    ("bounds", "code"),
    [
        (["--max", "mean_cosine=0.34"], 0),
        (["--max", "mean_cosine=0.33"], 1),
        (["--min", "mean_cosine=0.33"], 0),
        (["--min", "mean_cosine=0.34"], 1),
        (["--min", "mean_cosine=0.33", "--max", "mean_cosine=0.34"], 0),
        (["--max", "mean_cosine=0.5", "--max", "mean_cosine=0.3"], 1),  # both of one measure count
        (["--max", "mean_cosine=0.3", "--max", "mean_cosine=0.5"], 1),
        (["--max", "mean_norm=1", "--min", "mean_norm=1"], 0),  # exactly on both
        (["--min", "mean_norm=1.0000000000000002"], 1),  # one step of a float beyond
        (["--max", "mean_norm=1e0"], 0),
        (["--max", " mean_norm = 1 "], 0),
        (["--max", "condition_number=1e300"], 1),  # undefined: three points, of which two coincide
    ],
)
def test_exit_code(run, corner, bounds, code):
    found, out, _ = run("check", corner, *bounds)
    assert found == code
    assert len(out.splitlines()) == len(bounds) // 2
    assert ("FAIL" in out) == (code == 1)
    assert all(line.startswith(("ok   ", "FAIL ")) for line in out.splitlines())


def test_lines_by_hand(run, corner):
    _, out, _ = run(
        "check", corner, "--max", "mean_cosine=0.3", "--min", "mean_norm=1", "--min", "twonn=60.25"
    )
    assert out.splitlines()[:2] == [
        "FAIL mean_cosine is 0.333333, must be at most 0.3",
        "ok   mean_norm is 1, must be at least 1",
    ]
    assert out.splitlines()[2].startswith("FAIL twonn is undefined (")
    assert out.splitlines()[2].endswith("), must be at least 60.25")


def test_a_rounded_value_never_contradicts_the_outcome(run, corner):
    _, out, _ = run("check", corner, "--max", "mean_cosine=0.333333")
    name, shown = out.split(" is ")[0], out.split(" is ")[1].split(",")[0]
    assert name == "FAIL mean_cosine"
    assert float(shown) == pytest.approx(1 / 3, rel=1e-12)
    assert float(shown) > 0.333333


@pytest.mark.parametrize(
    ("kind", "value", "bound", "holds"),
    [
        ("max", 0.4, 0.4, True),
        ("max", math.nextafter(0.4, 1), 0.4, False),
        ("min", 0.4, 0.4, True),
        ("min", math.nextafter(0.4, 0), 0.4, False),
        ("max", -0.0, 0.0, True),
        ("min", -0.0, 0.0, True),
        ("max", None, 1.0, False),
        ("min", None, -1.0, False),
    ],
)
def test_bounds_hold_at_their_exact_value(kind, value, bound, holds):
    assert Bound(kind, "a", bound).holds(MeasuredValue(name="a", value=value)) is holds


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a check needs a bound, such as --max mean_cosine=0.4"),
        (["--max", "mean_cosine"], "--max takes NAME=VALUE with a finite number"),
        (["--min", "mean_cosine=high"], "--min takes NAME=VALUE"),
        (["--min", "=0.4"], "got '=0.4'"),
        (["--min", " =0.4"], "got ' =0.4'"),
        (["--max", "mean_cosine=0.4=5"], "got 'mean_cosine=0.4=5'"),
        (["--max", "mean_cosine=nan"], "a finite number, such as mean_cosine=0.4; got 'mean_cosine=nan'"),
        (["--max", "mean_cosine=inf"], "got 'mean_cosine=inf'"),
        (["--min", "mean_cosine=-inf"], "got 'mean_cosine=-inf'"),
        (["--min", "mean_cosine=1e999"], "got 'mean_cosine=1e999'"),
        (["--max", "\x1b[31m"], r"got '\x1b[31m'"),
        (["--max", "mean_cosin=0.4"], "no measure 'mean_cosin'; there are mean_cosine, "),
        (["--max", "neural_collapse=1"], "neural_collapse compares points within classes and needs labels"),
        (["--max", "alignment=1"], "alignment compares each point with its partner and needs partners"),
    ],
)
def test_bad_input_is_one_line(run, corner, arguments, message):
    code, out, err = run("check", corner, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_file_that_is_not_whole_fails_the_check_as_bad_input(run, corner):
    np.save("other.npy", np.ones((9, 2)))
    with open("other.npy", "r+b") as file:
        file.truncate(150)
    code, out, err = run("check", corner, "other.npy", "--max", "mean_cosine=1")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "other.npy ends before its last row" in err


def test_json(run, corner):
    code, out, _ = run(
        "check", corner, "--json", "--max", "mean_cosine=0.3", "--min", "mean_norm=1", "--max", "twonn=5"
    )
    found = json.loads(out)
    assert code == 1
    assert set(found) == {"passed", "bounds", "n", "d"}
    assert (found["passed"], found["n"], found["d"]) == (False, 3, 2)
    cosine, twonn, norm = found["bounds"]  # those of --max come first
    assert cosine.pop("value") == pytest.approx(1 / 3, rel=1e-12)
    assert cosine == {"measure": "mean_cosine", "max": 0.3, "holds": False, "note": ""}
    assert norm == {"measure": "mean_norm", "min": 1.0, "value": 1.0, "holds": True, "note": ""}
    assert (twonn["value"], twonn["holds"]) == (None, False)
    assert twonn["note"]


def test_json_that_passes(run, square):
    code, out, err = run("check", square, "--json", "--min", "effective_rank=1.9999", "--max", "drift=0")
    assert (code, err) == (0, "")
    assert json.loads(out)["passed"] is True


def test_labels_and_states(run):
    points = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    np.savez("x.npz", emb=points, y=np.array(["a", "a", "b", "b"]))
    bound = ["--min", "self_similarity=1"]  # within both classes all cosines are 1
    assert run("check", "x.npz", "--labels", "y", *bound)[0] == 0
    assert run("scan", "x.npz", "--labels", "y", "-o", "labeled.state")[0] == 0
    assert run("scan", "x.npz", "-o", "bare.state")[0] == 0
    code, out, _ = run("check", "labeled.state", *bound)
    assert (code, out) == (0, "ok   self_similarity is 1, must be at least 1\n")
    code, out, err = run("check", "bare.state", *bound)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "needs labels" in err


def test_partners(run, corner):
    np.save("p.npy", np.array([[0.0, 2.0], [3.0, 0.0], [0.0, 1.0]]))
    # squared distances of the directions: 2, 0, 0
    code, out, _ = run("check", corner, "--partners", "p.npy", "--max", "alignment=0.67")
    assert (code, out) == (0, "ok   alignment is 0.666667, must be at most 0.67\n")


def test_what_was_looked_at_is_told_of_a_sample(run):
    np.save("x.npy", np.random.default_rng(0).normal(size=(60, 4)))
    code, out, _ = run("check", "x.npy", "--max", "uniformity=0", "--sample", 30)
    assert code == 0
    assert " (on 30 of 60 points, seed 0), must be at most 0\n" in out


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_collapse_is_told_beside_a_bound_that_holds(run, options):
    rng = np.random.default_rng(0)
    np.save("x.npy", 1 + 1e-4 * rng.normal(size=(200, 8)))
    code, out, err = run("check", "x.npy", "--min", "isoscore=0.5", *options)
    assert code == 0
    assert err.startswith("note: collapsed: the mean cosine is 1.0")
    assert err.count("\n") == 1
    assert "note: " not in out


def test_nothing_is_told_beside_a_space_that_is_well(run):
    np.save("x.npy", np.random.default_rng(0).normal(size=(200, 8)))
    assert run("check", "x.npy", "--max", "mean_cosine=0.1")[2] == ""


def test_only_what_the_bounds_need_is_computed(run, square, monkeypatch):
    import conescope.survey.reading as reading

    orders, rows = [], []
    scan, value = reading.scan, Statistics.value
    monkeypatch.setattr(reading, "scan", lambda *a, **k: orders.append(k["order"]) or scan(*a, **k))
    monkeypatch.setattr(Statistics, "value", lambda self, row: rows.append(row) or value(self, row))
    assert run("check", square, "--max", "mean_cosine=0.4", "--min", "mean_norm=1")[0] == 0
    assert orders == [1]  # no scatter
    assert {row.name for row in rows} >= {"mean_cosine", "mean_norm"}
    assert {(row.order, row.sampled) for row in rows} == {(1, False)}  # the verdict looks at no more either
    assert run("check", square, "--min", "effective_rank=1")[0] == 0
    assert orders == [1, 2]
