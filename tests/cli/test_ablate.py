"""`conescope ablate` as a user meets it: files of data, a small model, errors of one line."""

import re

import pytest

from conescope.ablation import parse_arm
from conescope.cli import main
from conescope.cli.ablate import REGULARIZERS, split_arms
from conescope.results import Ablation
from tests.cli.small_models import bert

LINES = [("the cat sat", "no"), ("a dog ran off", "yes"), ("the sun sat", "no"), ("cats and dogs ran", "yes")]
FAST = ["--epochs", "1", "--batch-size", "8", "--lr", "1e-3", "--seeds", "2", "--precision", "fp32"]
GIVEN = ["--model", "model", "--train", "train.tsv", "--dev", "dev.tsv", "-o", "out"]
ARMS = ["--regularizers", "none,persistent-entropy,koleo:sphere=true,weight=0.5", "--weights", "0.1"]


def call(capsys, *arguments):
    """Return exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as stopped:
        main(["ablate", *arguments])
    return stopped.value.code or 0, *capsys.readouterr()


def fill(folder):
    for name, count in (("train", 6), ("dev", 3)):
        rows = "".join(f"{text}\t{kind}\n" for text, kind in LINES * count)
        (folder / f"{name}.tsv").write_text(f"text\tlabel\n{rows}")
    bert(folder / "model")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Return the folder in which the ablation was run once."""
    folder = tmp_path_factory.mktemp("ablate")
    fill(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with pytest.raises(SystemExit) as stopped:
            main(["ablate", *GIVEN, *FAST, *ARMS, "--json"])
        assert not stopped.value.code
    return folder


@pytest.fixture
def here(done, monkeypatch):
    monkeypatch.chdir(done)
    monkeypatch.setenv("COLUMNS", "80")
    return done


def test_every_arm_has_every_seed(here):
    found = Ablation.model_validate_json((here / "out" / "ablation.json").read_text())
    assert [(arm.name, arm.weight) for arm in found.arms] == [
        ("plain", None),
        ("persistent-entropy:weight=0.1", 0.1),
        ("koleo:sphere=true,weight=0.5", 0.5),
    ]
    assert [[run.seed for run in arm.runs] for arm in found.arms] == [[0, 1]] * 3
    assert {each.arm for each in found.differences} == {arm.name for arm in found.arms[1:]}
    plain, koleo = found.arms[0], found.arms[2]
    task = next(each for each in found.differences if (each.arm, each.name) == (koleo.name, found.main_score))
    pairs = zip(plain.runs, koleo.runs, strict=True)
    changes = [after.scores[found.main_score] - before.scores[found.main_score] for before, after in pairs]
    assert task.difference == pytest.approx(sum(changes) / 2)


def test_the_same_command_resumes_and_prints_json_alone(here, capsys):
    runs = {file: file.stat().st_mtime_ns for file in here.glob("out/runs/*/run.json")}
    assert len(runs) == 6
    code, out, err = call(capsys, *GIVEN, *FAST, *ARMS, "--json")
    assert (code, err) == (0, "")  # nothing was trained
    assert Ablation.model_validate_json(out).model_dump_json() == out.removesuffix("\n")
    assert (here / "out" / "ablation.json").read_text() == out.removesuffix("\n")
    assert {file: file.stat().st_mtime_ns for file in here.glob("out/runs/*/run.json")} == runs


def test_the_table_fits_and_the_page_is_written(here, capsys):
    (here / "out" / "ablation.html").unlink()
    code, out, _ = call(capsys, *GIVEN, *FAST, *ARMS)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    found = Ablation.model_validate_json((here / "out" / "ablation.json").read_text())
    for point in found.front:
        assert f"{point.score:.4f}" in out
        assert f"{point.anisotropy:.4f}" in out
    assert "\npersistent-entropy:\n" in re.sub(r" +.*", "", out)  # a long name is broken at its options
    words = "".join(out.split())
    assert "".join(found.verdict.split()) in words
    assert "Result: out/ablation.json\nPage: out/ablation.html" in out
    assert found.title in (here / "out" / "ablation.html").read_text()


def test_another_recipe_needs_another_folder(here, capsys):
    code, out, err = call(capsys, *GIVEN, *FAST, *ARMS, "--lr", "1e-4")
    assert (code, out) == (2, "")
    assert "lr" in err
    assert len(err.splitlines()) == 1


def test_ctrl_c_says_how_to_go_on(here, capsys, monkeypatch):
    def stop(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr("conescope.ablation.ablating.run_arm", stop)
    code, out, err = call(capsys, *GIVEN, *FAST, "--regularizers", "cosine:weight=1")
    assert (code, out) == (130, "")
    assert err == "stopped; finished runs are in out, and the same command goes on from there\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seeds", "0"], "--seeds must be at least 1, got 0"),
        (["--weights", "much"], "--weights takes auto, given or a number, got 'much'"),
        (["--weights", "-1"], "--weights must be a positive number, got -1"),
        (["--regularizers", "beauty"], "no regularizer 'beauty'; there are none, cosine"),
        (["--regularizers", "koleo:beauty=1"], "koleo has no option 'beauty'"),
        (["--regularizers", "weight=1,koleo"], "--regularizers begins with a name"),
        (["--regularizers", ","], "--regularizers takes names with commas between"),
        (["--regularizers", "koleo,koleo"], "the arm koleo is there twice"),
        (["--dev", "none.tsv"], "no file none.tsv"),
        (["--label", "kind"], "no column 'kind'"),
        (["--precision", "half"], "precision must be auto"),
    ],
)
def test_bad_input_is_one_line(here, capsys, arguments, said, without_shape_checks):
    code, out, err = call(capsys, *GIVEN, *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("conescope: ")
    assert len(err.splitlines()) == 1


def test_arms_are_separated_by_commas_outside_of_their_options():
    assert split_arms("none, koleo:weight=0.1,sphere=true ,cosine") == [
        "none",
        "koleo:weight=0.1,sphere=true",
        "cosine",
    ]
    assert split_arms("koleo,weight=2") == ["koleo:weight=2"]
    assert split_arms("koleo:sphere=true;weight=2,cosine") == ["koleo:sphere=true;weight=2", "cosine"]
    names = [parse_arm(arm).name for arm in split_arms(REGULARIZERS)]
    assert len(set(names)) == len(names) == 10
    assert names[:3] == ["plain", "persistent-entropy", "persistent-entropy:selection=None"]
