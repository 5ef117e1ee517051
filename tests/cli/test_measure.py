import math
import subprocess
import sys

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import conescope
from conescope.cli.measure import measure
from conescope.results import Measurement


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    app = typer.Typer()
    app.command()(measure)

    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


def rows(n=40, d=6):
    return np.random.default_rng(0).normal(size=(n, d)).astype("float32")


def test_json_is_the_measurement_and_nothing_else(run):
    np.save("x.npy", rows())
    result = run("x.npy", "--json")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert Measurement.model_validate_json(result.stdout) == conescope.measure(rows())


def test_options_reach_the_measure(run):
    np.save("x.npy", rows())
    np.save("y.npy", np.arange(40) % 2)
    names = ["anisotropy_1_within_class", "persistent_entropy"]
    options = ["--measure", names[0], "--measure", names[1], "--sample", 10, "--seed", 7]
    result = run("x.npy", "--labels", "y.npy", "--json", *options)
    expected = conescope.measure(rows(), np.arange(40) % 2, names, sample=10, seed=7)
    assert Measurement.model_validate_json(result.stdout) == expected


def test_column_of_a_table(run):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"a": list(rows()), "b": list(rows() + 1), "y": ["m", "n"] * 20}
    pq.write_table(pa.table(columns), "x.parquet")
    result = run("x.parquet", "--column", "b", "--labels", "y", "--json")
    assert Measurement.model_validate_json(result.stdout) == conescope.measure(rows() + 1, ["m", "n"] * 20)


def test_table(run):
    np.save("x.npy", rows(60, 12))
    result = run("x.npy", "--sample", 50)
    lines = result.stdout.splitlines()
    assert lines[0] == "x.npy: 60 points in 12 dimensions"
    assert max(len(line.rstrip()) for line in lines) <= 80
    found = conescope.measure(rows(60, 12), sample=50)
    for name in found.names():  # name, value, and what a Gaussian gives stand on one line
        line = next(line for line in lines if line.startswith(f"{name} "))
        assert line.split()[1] == f"{found.value(name):.4f}"
    isotropic = {line.split()[0]: line.split()[2] for line in lines if line.startswith(found.names())}
    assert isotropic["isoscore"] == f"{58 / 72:.4f}"  # (n - 2) / (n + d)
    assert isotropic["persistent_entropy"] == f"{math.log(49):.4f}"  # of the 50 points it was taken on
    assert "on 50 of 60" in result.stdout


def test_what_is_undefined_and_why_is_in_the_table(run):
    np.save("x.npy", np.ones((10, 3)))
    result = run("x.npy")
    line = next(line for line in result.stdout.splitlines() if line.startswith("isoscore "))
    assert line.split()[1] == "undefined"
    assert "no two points differ" in result.stdout
    assert "collapsed: all points coincide" in result.stdout
    assert "nan" not in result.stdout.lower()


def test_names_from_the_user_are_not_read_as_markup(run):
    np.save("[red]x [link=y].npy", rows())
    result = run("[red]x [link=y].npy")
    assert result.exit_code == 0
    assert result.stdout.startswith("[red]x [link=y].npy: 40 points in 6 dimensions")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["none.npy"], FileNotFoundError, "there is no file none.npy"),
        (["x.npy", "--measure", "isoscor"], ValueError, "no measure 'isoscor'; there are mean_cosine"),
        (["x.npy", "--measure", "anisotropy_1_within_class"], ValueError, "needs labels"),
        (["nan.npy"], ValueError, "the first in row 3"),
    ],
)
def test_errors_are_raised_for_the_app_to_word(run, arguments, error, message):
    np.save("x.npy", rows())
    broken = rows()
    broken[3, 0] = np.nan
    np.save("nan.npy", broken)
    result = run(*arguments)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert result.stdout == ""


def test_command_is_known_before_torch_is_loaded():
    code = "import sys, conescope.cli.measure; assert not {'torch', 'numpy', 'rich.table'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
