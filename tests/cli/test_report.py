"""Every result that has a page is drawn by one command, and what has none is named."""

import pytest

from conescope.cli import main
from conescope.report import (
    ablation_html,
    barcode_html,
    bias_drift_html,
    dynamics_html,
    perturbation_html,
    report_html,
)
from conescope.survey import barcode
from tests.report import test_ablation, test_bias_drift, test_dynamics, test_perturbation
from tests.report.test_barcode import cloud
from tests.samples.finetuning import finetuning

MADE = {
    "ablation": (lambda: test_ablation.result(), ablation_html),
    "barcode": (lambda: barcode(cloud()), barcode_html),
    "bias_drift": (lambda: test_bias_drift.result(), bias_drift_html),
    "finetuning": (lambda: finetuning(), report_html),
    "perturbation": (lambda: test_perturbation.result(), perturbation_html),
}


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return end.value.code, captured.out, captured.err


@pytest.mark.parametrize("kind", MADE)
def test_a_stored_result_has_the_page_of_the_result(capsys, tmp_path, kind):
    made, html = MADE[kind]
    result = made()
    (tmp_path / "stored.json").write_text(result.model_dump_json())
    code, out, err = run(capsys, "report", tmp_path / "stored.json", "-o", tmp_path / "page.html")
    assert (code, err) == (0, "")
    assert "page.html" in out
    assert (tmp_path / "page.html").read_text() == html(result)


@pytest.mark.parametrize(
    "names", [["tangent.json"], ["trajectory.json"], ["tangent.json", "trajectory.json"]]
)
def test_a_watched_training_is_drawn_from_both_of_its_files(capsys, tmp_path, names):
    tangent, trajectory = test_dynamics.tangent(), test_dynamics.trajectory()
    (tmp_path / "tangent.json").write_text(tangent.to_json())
    (tmp_path / "trajectory.json").write_text(trajectory.to_json())
    code, _, err = run(capsys, "report", *[tmp_path / name for name in names], "-o", tmp_path / "page.html")
    assert (code, err) == (0, "")
    assert (tmp_path / "page.html").read_text() == dynamics_html(tangent, trajectory)


def test_the_files_that_are_given_are_those_that_are_drawn(capsys, tmp_path):
    tangent, trajectory = test_dynamics.tangent(), test_dynamics.trajectory()
    other = tangent.model_copy(update={"title": "the other training"})
    for name, one in (("tangent", tangent), ("other", other), ("trajectory", trajectory)):
        (tmp_path / f"{name}.json").write_text(one.to_json())
    code, _, err = run(capsys, "report", tmp_path / "other.json", "-o", tmp_path / "page.html")
    assert (code, err) == (0, "")
    assert (tmp_path / "page.html").read_text() == dynamics_html(other, trajectory)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "trajectory.json").write_text(trajectory.to_json())
    for second in (tmp_path / "other.json", tmp_path / "elsewhere" / "trajectory.json"):
        code, _, err = run(capsys, "report", tmp_path / "tangent.json", second)
        assert (code, err.count("\n")) == (2, 1)
        assert "one report shows one result" in err


def test_half_of_a_training_two_results_and_what_has_no_page_are_told(capsys, tmp_path):
    (tmp_path / "tangent.json").write_text(test_dynamics.tangent().to_json())
    code, _, err = run(capsys, "report", tmp_path / "tangent.json", "-o", tmp_path / "page.html")
    assert (code, err.count("\n")) == (2, 1)
    assert "trajectory.json, which belongs to the page" in err
    (tmp_path / "one.json").write_text(test_perturbation.result().model_dump_json())
    code, _, err = run(capsys, "report", tmp_path / "one.json", tmp_path / "one.json")
    assert (code, err.count("\n")) == (2, 1)
    assert "one report shows one result" in err
    (tmp_path / "other.json").write_text('{"schema_version": "conescope.measurement/2"}')
    code, _, err = run(capsys, "report", tmp_path / "other.json")
    assert (code, err.count("\n")) == (2, 1)
    assert "(schema: measurement); there are ablation, barcode" in err
    assert not (tmp_path / "page.html").exists()
