"""`conescope advise`: what Python says, in a table of 80 columns or as JSON."""

import re
import shlex

import numpy as np
import pytest

from conescope.cli import main
from conescope.results import Advice
from conescope.survey import advise
from conescope.transforms import load_fix
from tests.survey.test_advise import cone, scored_pairs


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    points, pairs = scored_pairs()
    np.save("plain.npy", points)
    np.save("cone.npy", cone(points))
    np.save("labels.npy", (points[:, 0] > 0).astype(int))
    np.savetxt("dev.tsv", pairs, delimiter="\t", fmt=["%d", "%d", "%.17g"])


@pytest.fixture
def run(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        return stopped.value.code or 0, *capsys.readouterr()

    return run


def test_a_recommendation_comes_with_the_command_that_follows_it(run):
    code, out, err = run("advise", "cone.npy", "--pairs", "dev.tsv")
    assert (code, err) == (0, "")
    expected = advise("cone.npy", pairs="dev.tsv")
    assert f"\n{expected.recommended}: on held-out pairs" in out
    assert "note: this candidate was chosen by its gain" in out
    command = re.search(r"^conescope (fix fit .*)$", out, re.MULTILINE)[1]
    assert max(len(line) for line in out.splitlines() if not line.startswith("conescope fix")) <= 80
    code, _, _ = run(*command.split())
    assert code == 0
    best = expected.candidate(expected.recommended)
    assert load_fix("fix.safetensors").get_params() == best.settings


def test_the_command_fits_what_was_tried_wherever_it_lies(run):
    points, pairs = np.load("cone.npy"), np.loadtxt("dev.tsv")
    np.save("my queries.npy", points[::2])
    np.save("my documents.npy", points[1::2])
    pairs[:, :2] //= 2  # each pair is of rows 2 i and 2 i + 1
    np.savetxt("own.tsv", pairs, delimiter="\t", fmt=["%d", "%d", "%.17g"])
    code, out, _ = run("advise", "my queries.npy", "--partners", "my documents.npy", "--pairs", "own.tsv")
    assert code == 0
    command = re.search(r"^conescope (fix fit .*)$", out, re.MULTILINE)[1]
    code, _, _ = run(*shlex.split(command))
    assert code == 0
    np.testing.assert_allclose(load_fix("fix.safetensors").mean_, points.mean(axis=0), rtol=1e-9)


def test_nothing_to_mend(run):
    code, out, _ = run("advise", "plain.npy", "--pairs", "dev.tsv")
    assert code == 0
    assert "leave it alone" in out
    assert "fix fit" not in out


def test_json_is_what_python_returns(run):
    code, out, err = run("advise", "cone.npy", "--labels", "labels.npy", "--seed", 3, "--folds", 4, "--json")
    assert (code, err) == (0, "")
    assert Advice.model_validate_json(out) == advise("cone.npy", labels="labels.npy", seed=3, folds=4)


def test_without_a_task(run):
    code, out, _ = run("advise", "cone.npy")
    assert code == 0
    assert "no recommendation: without pairs or labels" in out
    assert "gain" not in out.split("no recommendation")[0]


def test_bad_input_is_one_line_and_code_2(run):
    code, out, err = run("advise", "cone.npy", "--pairs", "none.tsv")
    assert (code, out) == (2, "")
    assert err == "conescope: there is no file none.tsv to read pairs from\n"
    code, out, err = run("advise", "cone.npy", "--pairs", "plain.npy")
    assert (code, out) == (2, "")
    assert err.startswith("conescope: pairs are a table of text, .tsv or .csv, and plain.npy is none (")
