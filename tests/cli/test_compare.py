"""`conescope compare` as a user meets it: what stands in which column, and what is said about it."""

import subprocess
import sys

import numpy as np
import pytest

import conescope
from conescope.cli import main
from conescope.cli.compare import show
from conescope.cli.tables import number
from conescope.profile.side_by_side import compare_profiles
from conescope.results import Comparison, Finding, MeasuredValue, Measurement
from conescope.results.profiles import ProfileComparison
from conescope.survey import comparison
from tests.profile.profiled import cosines, layer, profile

FEW = ["--measure", "mean_cosine", "--measure", "isoscore", "--measure", "cluster_count"]
NAMES = FEW[1::2]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    np.save("plain.npy", rows())
    np.save("cone.npy", rows(seed=1) + 3)


@pytest.fixture
def run(capsys):
    def run(*arguments):
        """Return exit code, stdout and stderr."""
        with pytest.raises(SystemExit) as stopped:
            main(["compare", *map(str, arguments)])
        return stopped.value.code or 0, *capsys.readouterr()

    return run


def rows(n=60, d=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype("float32")


def row(out, name):
    return next(line.split()[1:] for line in out.splitlines() if line.split()[:1] == [name])


def test_json_is_the_comparison_and_nothing_else(run):
    code, out, err = run("plain.npy", "cone.npy", "--json", *FEW, "--sample", 50, "--seed", 2, "--double")
    assert (code, err) == (0, "")
    found = Comparison.model_validate_json(out)
    expected = conescope.compare(
        "plain.npy", "cone.npy", measures=NAMES, sample=50, seed=2, precision="double"
    )
    assert found == expected
    assert found.difference("mean_cosine", "cone.npy").outcome == "higher"


def test_table(run):
    code, out, err = run("plain.npy", "cone.npy", *FEW)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("plain.npy: 60 points in 6 dimensions: ")
    assert lines[1] == "cone.npy: 60 points in 6 dimensions: narrow cone"
    assert row(out, "measure") == ["plain.npy", "cone.npy"]
    found = conescope.compare("plain.npy", "cone.npy", measures=NAMES)
    signs = {"higher": "^", "lower": "v", "within noise": "=", "not known": "?"}
    for name in NAMES:
        one, other = found.measured(name)
        sign = signs[found.difference(name, "cone.npy").outcome]
        assert row(out, name) == [number(one.value), number(other.value), sign]
    assert row(out, "mean_cosine")[-1] == "^"
    assert "against plain.npy: ^ higher, v lower, = within noise, ? no interval tells" in lines


def test_the_same_file_twice(run):
    code, out, _ = run("plain.npy", "plain.npy", *FEW)
    assert code == 0
    assert out.splitlines()[1].startswith("plain.npy (2): 60 points")
    assert [row(out, name)[-1] for name in NAMES] == ["="] * 3


def test_all_signs_and_what_is_undefined(capsys):
    def space(*values):
        return Measurement(
            n=100, d=5, values=[MeasuredValue(name=n, value=v, low=low, high=h) for n, v, low, h in values]
        )

    one = space(("a", 1, 0.9, 1.1), ("b", 1, 0.9, 1.1), ("c", 1, 0.9, 1.1), ("d", 1, None, None))
    two = space(("a", 2, 1.9, 2.1), ("b", 0, -0.1, 0.1), ("c", 1.01, 0.9, 1.1), ("d", 2, None, None))
    gone = space(("a", None, None, None), ("b", 1, 0.9, 1.1), ("c", 1, 0.9, 1.1), ("d", 1, None, None))
    show(comparison({"one": one, "two": two, "gone": gone}))
    out = capsys.readouterr().out
    assert row(out, "a") == ["1", "2", "^", "undefined"]
    assert row(out, "b") == ["1", "0", "v", "1", "="]
    assert row(out, "c") == ["1", "1.0100", "=", "1", "="]
    assert row(out, "d") == ["1", "2", "?", "1", "="]
    assert "one: 100 points in 5 dimensions\n" in out  # without findings there is no verdict


@pytest.mark.parametrize("count", [2, 3, 4, 9])
@pytest.mark.parametrize("length", [3, 70])
def test_no_line_is_wider_than_80_columns_and_no_number_is_cut(capsys, count, length):
    values = [1e-300, -1.234e-300, -0.0, -9999.99999, 123456.789]
    names = ["intra_text_similarity_adjusted", "b" * (length + 40), "c", "d", "e"]
    spaces = {
        f"{number_of}{'x' * length}": Measurement(
            n=10**12,
            d=10**6,
            values=[
                MeasuredValue(name=name, value=value * (1 + number_of), low=-1e6, high=1e6)
                for name, value in zip(names, values, strict=True)
            ],
            findings=[Finding(level="look", title="title " * 20, evidence="e")],
        )
        for number_of in range(count)
    }
    found = comparison(spaces)
    show(found)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    cells = " ".join(lines).split()
    assert {number(value.value) for space in found.spaces.values() for value in space.values} <= set(cells)
    # each difference stands there once, and once in the legend
    assert sum(line.count("=") for line in lines) == (count - 1) * len(names) + 1


def test_names_of_others_are_neither_markup_nor_commands_to_the_terminal(run):
    hostile = "[red]x [link=y]\x1b[31m\n.npy"
    np.save(hostile, rows(20))
    code, out, _ = run(hostile, "plain.npy", "--measure", "mean_cosine")
    assert code == 0
    assert out.startswith(r"[red]x [link=y]\x1b[31m\n.npy: 20 points in 6 dimensions")
    assert r"against [red]x [link=y]\x1b[31m\n.npy: ^ higher" in out
    assert "\x1b" not in out


def test_notes(run):
    np.save("few.npy", rows(25, 30))
    _, out, _ = run("plain.npy", "few.npy", "--measure", "isoscore")
    text = " ".join(out.split())
    for note in conescope.compare("plain.npy", "few.npy", measures="isoscore").notes:
        assert f"note: {note}" in text
    assert "the spaces have 6 and 30 dimensions" in text
    assert "looked at on 25 and 60 points" in text
    assert "fewer points than dimensions: few.npy" in text


def test_json_of_measure_and_states(run, capsys):
    for command in (
        ["measure", "plain.npy", "--json", *FEW],
        ["scan", "plain.npy", "-o", "plain.state"],
    ):
        with pytest.raises(SystemExit):
            main(command)
        if command[0] == "measure":
            with open("plain.json", "w") as file:
                file.write(capsys.readouterr().out)
    capsys.readouterr()
    code, out, _ = run("plain.json", "plain.npy", "plain.state", *FEW)
    assert code == 0
    for name in NAMES:
        value, *others = row(out, name)
        assert others == [value, "=", value, "="]


def test_a_measurement_of_an_earlier_schema_is_read(run):
    earlier = conescope.measure(rows(), measures=NAMES).model_copy(
        update={"schema_version": "conescope.measurement/1"}
    )
    with open("old.json", "w") as file:
        file.write(earlier.model_dump_json())
    code, out, _ = run("old.json", "cone.npy", *FEW)
    assert code == 0
    assert row(out, "mean_cosine")[-1] == "^"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plain.npy"], "a comparison needs two spaces or more, got 1"),
        (["plain.npy", "none.npy"], "there is no file none.npy"),
        (["plain.npy", "none.json"], "there is no file none.json"),
        (
            ["plain.npy", "bad.json"],
            "bad.json is not a measurement of this version of conescope (file: Invali",
        ),
        (
            ["plain.npy", "list.json"],
            "list.json is not a measurement of this version of conescope (file: Input",
        ),
        (["plain.npy", "cut.npy", "--measure", "mean_cosine"], "cut.npy ends before its last row"),
        (["plain.npy", "cone.npy", "--measure", "isoscor"], "no measure 'isoscor'; there are mean_cosine, "),
        (["plain.npy", "cone.npy", "--measure", "class_separation"], "needs labels"),
    ],
)
def test_bad_input_is_one_line(run, arguments, message):
    np.save("cut.npy", rows())
    with open("cut.npy", "r+b") as file:
        file.truncate(300)
    for name, content in (("bad", "{"), ("list", "[]")):
        with open(f"{name}.json", "w") as file:
            file.write(content)
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("conescope: ")
    assert message in err


def test_no_progress_in_a_pipe():
    command = [sys.executable, "-m", "conescope", "compare", "plain.npy", "cone.npy", "--measure", "isoscore"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout


@pytest.fixture
def profiles(tmp_path):
    """Return the paths of two profiles whose last layers differ."""
    for name, last in (("a", 0.3), ("b", 0.7)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "profile.json").write_text(cosines(0.1, 0.2, last, title=name).to_json())
    return "a/profile.json", "b/profile.json"


def test_profiles_as_json(run, profiles):
    code, out, err = run(*profiles, "--json", "--measure", "mean_cosine")
    assert (code, err) == (0, "")
    found = ProfileComparison.model_validate_json(out)
    assert found == compare_profiles(*profiles, measures="mean_cosine")
    assert found.difference("mean_cosine", profiles[1], 2).outcome == "higher"


def test_profiles_as_a_table(run, profiles):
    code, out, err = run(*profiles)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "b/profile.json against a/profile.json"
    assert row(out, "0") == ["0.1000", "0.1000", "0", "-0.0141", "0.0141", "="]
    # half widths of 0.01 make 0.0141 in quadrature
    assert row(out, "2") == ["0.3000", "0.7000", "0.4000", "0.3859", "0.4141", "^"]


def test_profiles_of_other_depths_show_both_and_a_note(run, tmp_path):
    (tmp_path / "short.json").write_text(cosines(0.1, 0.2).to_json())
    last = layer(5, "final", mean_cosine=(0.5, 0.1), title_of_a_very_long_measure_name_that_folds=-123456.789)
    rows = [layer(depth, mean_cosine=(0.5, 0.1)) for depth in range(5)]
    (tmp_path / f"{'long' * 30}.json").write_text(profile(*rows, last).to_json())
    code, out, _ = run("short.json", f"{'long' * 30}.json")
    assert code == 0
    assert row(out, "1")[:2] == [":", "4"]
    assert "layers go together by relative depth" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("order", [1, -1])
def test_a_profile_and_something_else(run, profiles, order):
    with open("space.json", "w") as file:
        file.write(conescope.measure(rows(), measures="mean_cosine").model_dump_json())
    for other, message in (
        ("space.json", "space.json is not a profile, and a profile is compared with profiles only"),
        ("plain.npy", "plain.npy is not a profile, and a profile is compared with profiles only"),
    ):
        code, out, err = run(*[profiles[0], other][::order], "--measure", "mean_cosine")
        assert (code, out, err.count("\n")) == (2, "", 1)
        wrong_way = "a/profile.json is a profile of layers and can not be compared with a space"
        assert (message if order == 1 else wrong_way) in err


def test_a_profile_has_no_columns(run, profiles):
    code, _, err = run(*profiles, "--column", "x")
    assert code == 2
    assert "--column and --labels are for points" in err
