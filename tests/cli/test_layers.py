"""`conescope layers` as a user meets it: folders with models, a file of texts, errors of one line."""

import json

import pytest

from conescope import profile_layers
from conescope.cli import main
from conescope.cli.tables import number
from conescope.results import BiasDrift, Profile
from tests.cli.small_models import SENTENCES, bert

FAST = ["--measure", "mean_cosine", "--measure", "drift"]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "texts.txt").write_text("\n".join(SENTENCES))


@pytest.fixture
def run(capsys):
    def run(*arguments):
        """Return exit code, stdout and stderr."""
        with pytest.raises(SystemExit) as stopped:
            main(["layers", *map(str, arguments)])
        return stopped.value.code or 0, *capsys.readouterr()

    return run


def test_json_is_what_python_returns_and_the_folder_holds_the_same(run, tmp_path):
    bert("model")
    code, out, _ = run("model", "--data", "texts.txt", *FAST, "--json", "-o", "out", "--seed", "3")
    assert code == 0
    found = Profile.model_validate_json(out)
    truth = profile_layers("model", SENTENCES, measures=["mean_cosine", "drift"], seed=3)
    assert found.layers == truth.layers
    assert Profile.model_validate_json((tmp_path / "out" / "profile.json").read_bytes()) == found
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<title>" in page
    assert "model" in page


def test_the_table_has_a_line_a_layer(run):
    bert("model")
    code, out, err = run("model", "--data", "texts.txt", *FAST)
    assert (code, err) == (0, "profiling model\n")
    assert run("model", "--data", "texts.txt", "--measures", "mean_cosine, drift") == (code, out, err)
    truth = profile_layers("model", SENTENCES, measures=["mean_cosine", "drift"])
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line[:1].isdigit()}
    assert list(lines) == ["0", "1", "2"]
    for depth, cells in lines.items():
        assert cells[-2:] == [number(truth.value(name, int(depth))) for name in ("mean_cosine", "drift")]
    assert max(map(len, out.splitlines())) <= 80


def test_every_measure_that_was_asked_for_is_shown(run):
    bert("model")
    names = ["mean_cosine", "eee", "vrm", "isoscore", "stable_rank", "rankme", "mean_norm", "norm_variation"]
    code, out, _ = run("model", "--data", "texts.txt", "--quick", "--measures", ",".join(names))
    truth = profile_layers("model", SENTENCES, measures=names, intervals=False)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    rows = [line.split()[1:] for line in out.splitlines() if line.startswith("2 ")]
    shown = [cell for row in rows for cell in row]
    assert shown == [number(truth.value(name, 2)) for name in names]


def test_some_layers(run):
    bert("model")
    code, out, _ = run("model", "--data", "texts.txt", *FAST, "--layer", "1", "--layer", "-1", "--json")
    assert code == 0
    assert [layer.depth for layer in Profile.model_validate_json(out).layers] == [1, 2]


def test_what_is_constant_says_so(run):
    bert("model")
    code, out, _ = run("model", "--data", "texts.txt", "--pool", "cls", *FAST)
    assert code == 0
    assert next(line for line in out.splitlines() if line.startswith("0 input")).split()[2:] == ["constant"]


def test_an_untrained_twin_and_a_common_bias_stand_beside_it(run, tmp_path):
    bert("model", seed=5)
    code, out, _ = run(
        "model",
        "--data",
        "texts.txt",
        *FAST,
        "--untrained",
        "--bias-drift",
        "--tokens",
        "--json",
        "-o",
        "out",
    )
    assert code == 0
    trained, fresh, drift, other = json.loads(out)
    trained, fresh = Profile.model_validate(trained), Profile.model_validate(fresh)
    assert (trained.untrained, fresh.untrained) == (False, True)
    assert fresh.title == "model (untrained)"
    assert trained.value("mean_cosine") != fresh.value("mean_cosine")
    assert {table.name for table in trained.layers[0].tables} >= {"tokens", "frequency"}
    assert len(BiasDrift.model_validate(drift).blocks) == len(BiasDrift.model_validate(other).blocks) == 2
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert files == {
        "profile.json",
        "untrained/profile.json",
        "report.html",
        "bias-drift-1.json",
        "bias-drift-1.html",
        "bias-drift-2.json",
        "bias-drift-2.html",
    }


def test_checkpoints_are_a_series_and_done_ones_are_not_run_again(run, tmp_path, monkeypatch):
    for step in (9, 10):
        bert(f"ckpt/checkpoint-{step}", seed=step)
    arguments = (
        "ckpt/checkpoint-10",
        "ckpt/checkpoint-9",
        "--data",
        "texts.txt",
        *FAST,
        "--json",
        "-o",
        "out",
    )
    code, out, _ = run(*arguments)
    assert code == 0
    found = [Profile.model_validate(one) for one in json.loads(out)]
    assert [one.step for one in found] == [9, 10]
    assert (tmp_path / "out" / "checkpoint-9" / "profile.json").exists()

    def refuse(*given, **more):
        raise AssertionError("it was done")

    monkeypatch.setattr("conescope.profile.layers.gathered", refuse)
    again, same, _ = run(*arguments)
    assert (again, same) == (0, out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "none.txt"], "no file or folder none.txt"),
        (["--data", "texts.txt", "--modality", "smell"], "--modality must be one of text, audio, image"),
        (["--data", "texts.txt", "--pool", "max"], "--pool must be one of mean, tokens, cls, first, last"),
        (["--data", "texts.txt", "--measure", "nothing"], "there is no measure 'nothing'"),
        (["--data", "texts.txt", "--blocks", "tail"], "there is no module 'tail' in BertModel; there are"),
    ],
)
def test_bad_input_is_one_line(run, arguments, said):
    bert("model")
    code, out, err = run("model", *arguments)
    *progress, line = err.splitlines()
    assert (code, out) == (2, "")
    assert set(progress) <= {"profiling model"}
    assert line.startswith("conescope: ")
    assert said in line


def test_no_model_is_one_line(run):
    code, out, err = run("nowhere/model", "--data", "texts.txt")
    assert (code, out) == (2, "")
    assert "no model 'nowhere/model': neither a folder with a transformers model nor" in err
