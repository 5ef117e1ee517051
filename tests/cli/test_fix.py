"""`conescope fix fit` and `apply`: what is written is what the estimators give in Python."""

import json

import numpy as np
import pytest

from conescope.cli import main
from conescope.transforms import AllButTheTop, Whitening, load_fix


@pytest.fixture(autouse=True)
def points(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    points = (generator.normal(size=(70, 6)) @ generator.normal(size=(6, 6)) + 3).astype("float32")
    np.save("a.npy", points)
    return points


@pytest.fixture
def run(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        return stopped.value.code or 0, *capsys.readouterr()

    return run


def test_fit_and_apply(run, points):
    settings = ["--set", "shrinkage=oas", "--set", "kind=zca", "--set", "n_components=4"]
    code, out, err = run("fix", "fit", "a.npy", "--kind", "whitening", *settings, "-o", "f.safetensors")
    assert (code, out) == (0, "")
    assert err.startswith("f.safetensors: whitening, fitted to 70 points in 6 dimensions; apply it with")
    code, out, err = run("fix", "apply", "f.safetensors", "a.npy", "-o", "b.npy")
    assert (code, out) == (0, "")
    assert err == "b.npy: 70 points in 6 dimensions, float32, after whitening\n"
    expected = Whitening("zca", 4, "oas").fit_transform(points)
    np.testing.assert_allclose(np.load("b.npy"), expected, rtol=1e-6, atol=1e-6)


def test_as_json(run, points):
    fit = [
        "fix",
        "fit",
        "a.npy",
        "--kind",
        "all-but-the-top",
        "--set",
        "n_components=2",
        "-o",
        "f.safetensors",
    ]
    code, out, err = run(*fit, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "output": "f.safetensors",
        "kind": "all-but-the-top",
        "settings": {"n_components": 2},
        "rows": 70,
        "dimensions": 6,
    }
    assert load_fix("f.safetensors").get_params() == AllButTheTop(2).get_params()
    code, out, err = run("fix", "apply", "f.safetensors", "a.npy", "-o", "b.npy", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "output": "b.npy",
        "rows": 70,
        "dimensions": 6,
        "dtype": "float32",
        "kind": "all-but-the-top",
        "settings": {"n_components": 2},
    }


OUT = ["--set", "n_components=1", "-o", "f.safetensors"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "a.npy", "--kind", "magic", "-o", "f.safetensors"], "--kind must be one of centering, "),
        (["fit", "a.npy", "--kind", "centering", "-o", "f.pkl"], "ends in .safetensors, got f.pkl"),
        (
            ["fit", "a.npy", "--kind", "whitening", "--set", "k=1", "-o", "f.safetensors"],
            "has no setting 'k'",
        ),
        (["fit", "a.npy", "--kind", "whitening", "--set", "kind", "-o", "f.safetensors"], "NAME=VALUE"),
        (
            ["fit", "a.npy", "--kind", "whitening", "--set", "n_components=9", "-o", "f.safetensors"],
            "from 1 to 6",
        ),
        (
            ["fit", "a.npy", "--kind", "cluster-all-but-the-top", "--set", "n_clusters=few", *OUT],
            "n_clusters must be a whole number, at least 1, got 'few'",
        ),
        (["apply", "none.safetensors", "a.npy", "-o", "b.npy"], "there is no file none.safetensors"),
        (["apply", "a.npy", "a.npy", "-o", "b.npy"], "can not be read as safetensors"),
    ],
)
def test_bad_input_is_one_line_and_code_2(run, arguments, message):
    code, out, err = run("fix", *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
