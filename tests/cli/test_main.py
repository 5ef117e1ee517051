"""What a user meets on the command line: one line and exit code 2 for bad input, and nothing lost."""

import json
import os
import pty
import subprocess
import sys

import numpy as np
import pytest

from conescope.cli import main
from conescope.results import FineTuning
from tests.samples import models


def run(capsys, *arguments):
    """Return exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return stopped.value.code or 0, out, err


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return models.save_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def task(model, tmp_path):
    """The options of a small fine-tuning that work."""
    train = models.write_tsv(tmp_path / "train.tsv", models.sentences(64, 0))
    dev = models.write_tsv(tmp_path / "dev.tsv", models.sentences(40, 1))
    return {
        "--model": model,
        "--train": train,
        "--dev": dev,
        "--text": "sentence",
        "--label": "label",
        "--epochs": 1,
        "--batch-size": 16,
        "--lr": 1e-3,
        "--seeds": 1,
        "--precision": "fp32",
        "--device": "cpu",
        "-o": tmp_path / "runs",
    }


def options(given):
    return [part for pair in given.items() for part in pair]


def test_version_and_help(capsys):
    code, out, _ = run(capsys, "--version")
    assert (code, out.split()[0]) == (0, "conescope")
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(command in out for command in ("measure", "finetune", "report", "demo"))


@pytest.mark.usefixtures("without_shape_checks")
def test_finetune_then_report(capsys, task, tmp_path):
    code, out, err = run(capsys, "finetune", *options(task), "--baseline", "--selection", "none", "--json")
    outcome = json.loads(out)  # JSON alone
    assert code == 0
    assert "training plain, seed 0: 4 steps" in err
    result = FineTuning.model_validate_json((tmp_path / "runs" / "result.json").read_bytes())
    assert outcome["verdict"] == result.verdict
    assert {arm.name for arm in result.arms} == {"plain", "persistent-entropy (all bars)"}
    assert {d["name"] for d in outcome["differences"]} >= {
        "matthews",
        "anisotropy_1",
        "isoscore",
        "step_seconds",
    }

    code, out, _ = run(capsys, "report", tmp_path / "runs" / "result.json", "-o", tmp_path / "again.html")
    assert (code, out) == (0, f"Report: {tmp_path / 'again.html'}\n")
    assert (tmp_path / "again.html").read_text() == (tmp_path / "runs" / "report.html").read_text()

    code, out, err = run(capsys, "finetune", *options(task), "--baseline", "--selection", "none")
    assert code == 0
    assert "training" not in err  # all runs were there
    assert "matthews" in out.lower()
    assert max(len(line) for line in out.splitlines() if not line.startswith(("Result", "Report"))) <= 80


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--label": "nope"}, "no column 'nope'; there are sentence, label"),
        ({"--text": "nope"}, "no column 'nope'; there are sentence, label"),
        ({"--train": "missing.tsv"}, "no file missing.tsv"),
        ({"--model": "./nowhere"}, "no model './nowhere'"),
        ({"--selection": "best"}, "selection must be one of recursive"),
        ({"--pooling": "max"}, "pooling must be one of cls, mean"),
        ({"--layer": 9}, "layer must be one of 0 to 3"),
        ({"--regularizer": "magic"}, "--regularizer must be persistent-entropy or none, got 'magic'"),
        ({"--precision": "fp8"}, "precision must be auto, fp32, bf16 or fp16"),
        ({"--seeds": 0}, "--seeds must be at least 1"),
        ({"--min-points": 1}, "min_points must be at least 2"),
        ({"--batch-size": 0}, "batch_size must be at least 1"),
        ({"--epochs": 0}, "epochs must be positive"),
        ({"--lr": -1}, "lr must be positive"),
        ({"--weight": "nan"}, "weight must be finite"),
    ],
)
@pytest.mark.usefixtures("without_shape_checks")
def test_bad_options_are_one_line(capsys, task, change, message):
    code, out, err = run(capsys, "finetune", *options(task | change))
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert err.startswith("conescope: ")


def test_a_class_with_one_example_is_one_line(capsys, task, tmp_path):
    path = models.write_tsv(tmp_path / "odd.tsv", [*models.sentences(8, 0), ("the cat", "maybe")])
    code, _, err = run(capsys, "finetune", *options(task | {"--train": path}))
    assert (code, err.count("\n")) == (2, 1)
    assert "class 'maybe' has one example" in err


def test_measure_names_the_row_with_nan(capsys, tmp_path):
    points = np.ones((5, 3), dtype=np.float32)
    points[3, 1] = np.nan
    np.save(tmp_path / "points.npy", points)
    code, out, err = run(capsys, "measure", tmp_path / "points.npy")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "the first in row 3" in err


@pytest.mark.parametrize("text", ["{}", "not json", '{"schema_version": "conescope.finetuning/9"}'])
def test_report_refuses_what_is_no_result(capsys, tmp_path, text):
    (tmp_path / "result.json").write_text(text)
    code, _, err = run(capsys, "report", tmp_path / "result.json", "-o", tmp_path / "report.html")
    assert (code, err.count("\n")) == (2, 1)
    assert "is not a result of this version of conescope" in err
    assert not (tmp_path / "report.html").exists()


def test_report_of_a_missing_file(capsys, tmp_path):
    code, _, err = run(capsys, "report", tmp_path / "none.json")
    assert (code, err) == (2, f"conescope: no file {tmp_path / 'none.json'}\n")


def test_debug_shows_where_an_error_came_from(capsys, tmp_path):
    with pytest.raises(FileNotFoundError):
        main(["report", str(tmp_path / "none.json"), "--debug"])


def test_no_traceback_from_the_installed_command(tmp_path):
    command = [sys.executable, "-m", "conescope", "measure", str(tmp_path / "none.npy")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert "Traceback" not in run.stderr


def test_progress_bars_appear_on_a_terminal(task):
    """On a terminal the bars go to stderr; stdout stays clean."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "conescope", "finetune", *map(str, options(task)), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=follower, text=True) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:  # the other end closed
                break
            if not part:
                break
            shown += part
        out = process.stdout.read()
    os.close(leader)
    assert process.returncode == 0
    assert b"4/4" in shown
    assert json.loads(out)["verdict"].startswith("No comparison")
