"""`conescope perturb` as a user meets it: a folder with a model, a file of texts, errors of one line."""

import pytest

from conescope.cli import main
from conescope.cli.perturb import show
from conescope.perturb import study
from conescope.results import Perturbation
from tests.cli.small_models import SENTENCES, bert
from tests.report.test_scored_tasks import scored

FAST = ["--percent", "0, 0.5,50", "--repeats", "2", "--measures", "isoscore,eee, mean_cosine"]
GIVEN = {"percents": [0, 0.5, 50], "repeats": 2, "measures": ["isoscore", "eee", "mean_cosine"]}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "texts.txt").write_text("\n".join(SENTENCES))
    bert("model")


@pytest.fixture
def run(capsys):
    def run(*arguments):
        """Return exit code, stdout and stderr."""
        with pytest.raises(SystemExit) as stopped:
            main(["perturb", *map(str, arguments)])
        return stopped.value.code or 0, *capsys.readouterr()

    return run


def test_json_is_what_python_returns_and_the_folder_holds_the_same(run, tmp_path):
    code, out, err = run("model", "--data", "texts.txt", *FAST, "--json", "-o", "out", "--seed", "3")
    assert (code, err) == (0, "profiling model\nReport: out/report.html\n")
    found = Perturbation.model_validate_json(out)
    assert found == study("model", SENTENCES, **GIVEN, seed=3)
    assert (tmp_path / "out" / "perturbation.json").read_text() == out.removesuffix("\n")
    assert "IsoScore" in (tmp_path / "out" / "report.html").read_text()
    files = sorted(file.name for file in (tmp_path / "out" / "runs").iterdir())
    assert files == [
        "percent-0-seed-3.json",
        "percent-0.5-seed-3.json",
        "percent-0.5-seed-4.json",
        "percent-50-seed-3.json",
        "percent-50-seed-4.json",
    ]


def test_options_are_those_of_python(run):
    options = ["--noise", "matched", "--no-layer-norm", "--parts", "block weights", "--no-special-tokens"]
    options += ["--layer", "1", "--pool", "mean", "--limit", "9", "--sample", "8", "--json"]
    code, out, _ = run("model", "--data", "texts.txt", *FAST, *options)
    assert code == 0
    assert Perturbation.model_validate_json(out) == study(
        "model",
        SENTENCES[:9],
        **GIVEN,
        noise="matched",
        layer_norm=False,
        parts="block weights",
        special_tokens=False,
        layer=1,
        pooling="mean",
        sample=8,
    )


def test_the_table_has_means_and_ranges_in_80_columns(run):
    code, out, err = run("model", "--data", "texts.txt", *FAST)
    assert (code, err) == (0, "profiling model\n")
    assert max(map(len, out.splitlines())) <= 80
    assert out.startswith("model (BertModel), layer 2: unit noise in 16 tensors\n")
    truth = study("model", SENTENCES, **GIVEN)
    rows = [line.split() for line in out.splitlines() if line.strip()[:1].isdigit()]
    assert [row[0] for row in rows] == ["0", "0.5", "50"] * 2  # the third measure has a table of its own
    for names, part in ((["isoscore", "eee"], rows[:3]), (["mean_cosine"], rows[3:])):
        for row, percent in zip(part, (0, 0.5, 50), strict=True):
            answers = [truth.response(name, percent) for name in names]
            wanted = [(one.mean, one.low, one.high) if percent else (one.mean,) for one in answers]
            assert row[1:] == [f"{value:.4f}" for values in wanted for value in values]
    assert "tells nothing of other models" in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "none.txt"], "no file or folder none.txt"),
        (
            ["--data", "texts.txt", "--percent", "1,two"],
            "numbers with commas between, such as 0,0.5,10; got 'two'",
        ),
        (["--data", "texts.txt", "--percent", "1,200"], "from 0 to 100, got 200"),
        (["--data", "texts.txt", "--noise", "pink"], "noise must be one of unit, matched; got 'pink'"),
        (["--data", "texts.txt", "--parts", "all"], "parts must be one of encoder weights, block weights"),
        (["--data", "texts.txt", "--pool", "sum"], "--pool must be one of"),
        (["--data", "texts.txt", "--layer", "9"], "there is no layer 9; there are 0, 1, 2, or -1, -2"),
        (["--data", "texts.txt", "--stack", "decoder"], "there is no 'decoder'"),
        (["--data", "texts.txt", "--measures", "isoscore,beauty"], "there is no measure 'beauty'"),
        (["--data", "texts.txt", "--task-epochs", "1"], "are for a --task, and none is given"),
        (["--data", "texts.txt", "--task", "cats=a.tsv"], "a task is NAME=TRAIN,DEV"),
        (["--data", "texts.txt", "--task", "cats=a.tsv,b.tsv"], "no file a.tsv"),
    ],
)
def test_bad_input_is_one_line(run, arguments, said, without_shape_checks):
    code, out, err = run("model", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.splitlines()[-1].startswith("conescope: ")
    assert len(err.splitlines()) <= 2  # the first may say what is profiled


def test_a_study_goes_on(run, tmp_path):
    first = run("model", "--data", "texts.txt", *FAST, "-o", "out")
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "out" / "runs").iterdir()}
    assert len(files) == 5
    assert run("model", "--data", "texts.txt", *FAST, "-o", "out") == first
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "out" / "runs").iterdir()} == files


def test_tasks_are_scored_and_shown(run, tmp_path):
    rows = "".join(f"{line}\t{int('cat' in line)}\n" for line in SENTENCES[:12])
    (tmp_path / "cats.tsv").write_text("words\tlabel\n" + rows)
    given = ["--percent", "0,50", "--repeats", "2", "--measures", "isoscore", "-o", "out"]
    given += ["--task", "cats=cats.tsv,cats.tsv,text=words", "--task-examples", "8"]
    given += ["--task-epochs", "1", "--task-batch-size", "4", "--task-precision", "fp32"]
    code, out, err = run("model", "--data", "texts.txt", *given, "--device", "cpu")
    assert code == 0
    runs = [f"running cats at {percent} %, seed {seed}" for percent in (0, 50) for seed in (1, 2)]
    assert [line for line in err.splitlines() if "cats" in line] == runs
    assert max(map(len, out.splitlines())) <= 80
    found = Perturbation.model_validate_json((tmp_path / "out" / "perturbation.json").read_bytes())
    (task,) = found.tasks
    assert (task.train_examples, task.dev_examples, task.runs[0].steps) == (8, 12, 2)
    assert f"cats: 8 examples to train on, {task.dev_examples} to be scored" in out
    answer = task.responses("accuracy")[1]
    shown = out[out.index("cats: 8") :]
    assert f"{answer.mean:.4f}".rstrip("0") in shown
    assert "Measures against scores" in (tmp_path / "out" / "report.html").read_text()
    code, again, _ = run("model", "--data", "texts.txt", *given, "--device", "cpu", "--json")
    assert Perturbation.model_validate_json(again) == found


def test_correlations_are_shown_with_what_they_come_to(capsys):
    show(scored())
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "explained" in line]
    assert line.split() == ["isoscore", "-0.80", "+0.10", "=", "-", "explained", "by", "the", "dose"]
