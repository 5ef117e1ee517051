"""The study of perturbed models: its tables follow from its results, its rule finds what was planted."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from experiments.marbut2024 import pipeline
from experiments.marbut2024.pipeline_table import table as pipeline_table
from experiments.marbut2024.pipeline_table import verdict
from experiments.marbut2024.run import against, between_runs, regressions
from experiments.marbut2024.selection import ranked
from experiments.marbut2024.table import table
from experiments.marbut2024.tables import CANDIDATES, FAMILIES, OTHERS, OTHERS_SCORE, others, perturbed

from conescope.perturb.given_dose import conditions, rank_correlations
from conescope.predict import Columns
from conescope.results import ScoredTask, TaskRun
from tests.predict.tables import written
from tests.report.test_perturbation import result

HERE = Path(__file__).parents[1] / "experiments" / "marbut2024"
FOUND = json.loads((HERE / "results.json").read_text())


@pytest.fixture
def data(tmp_path):
    """Four small files as the authors' are called, one with a gap; the score is 1 - alpha / 100."""
    rng = np.random.default_rng(0)
    for family, (file, score) in FAMILIES.items():
        alpha = np.arange(1.0, 11.0)
        columns = {"model": [f"{family}_{n}" for n in range(10)], score: 1 - alpha / 100, "alpha": alpha}
        columns |= {name: rng.normal(size=10).tolist() for name in CANDIDATES}
        if family == "bert-small":
            columns["EEE"][3] = ""
        written(tmp_path / file, **columns)
    written(
        tmp_path / OTHERS,
        model=list("abc"),
        **{OTHERS_SCORE: [0.5, 0.6, 0.7]},
        **{n: [0, 1, 2] for n in CANDIDATES},
    )
    return tmp_path


def test_the_committed_table_is_that_of_the_results():
    text = (HERE / "table.md").read_text()
    assert text == table(FOUND)
    readme = (HERE / "README.md").read_text()
    parts = text.strip().split("\n\n")
    assert [len(part.splitlines()) for part in parts] == [6, 19, 12, 5]
    assert [part for part in parts if part not in readme] == []


def test_the_published_numbers_come_out_to_their_digits():
    found = {row["what"]: row for row in FOUND["captions"]}
    assert len(found) == 4
    for row in found.values():
        digits = len(row["published"].partition(".")[2])
        assert f"{row['a-patchiness']:.{digits}f}" == row["published"]
        assert f"{row['p-patchiness']:.{digits}f}" != row["published"]
    assert found["r, bert-small"]["left_out"] == ["bert-small_9_3", "bert-small_14_3", "bert-small_16_3"]
    assert [row["rows"] for row in found.values()] == [125, 36, 168, 168]


def test_errors_on_the_13_follow_from_their_rows():
    for row in [*FOUND["published"].values(), FOUND["chosen"]]:
        new = row["others"]
        assert len(new["rows"]) == 13
        off = [one["known"] - one["predicted"] for one in new["rows"]]
        assert new["rmse"] == pytest.approx(math.sqrt(np.mean(np.square(off))))
        assert new["covered"] == sum(one["low"] <= one["known"] <= one["high"] for one in new["rows"])
        assert new["rmse_interval"][0] < new["rmse"] < new["rmse_interval"][1]
    errors = {name: row["others"]["rmse"] for name, row in FOUND["published"].items()}
    assert min(errors, key=errors.get) == FOUND["best_published"]
    differences = [row["difference"] for row in FOUND["differences"].values()]
    chosen, best, mean = FOUND["chosen"]["others"]["rmse"], min(errors.values()), FOUND["mean"]["rmse"]
    assert differences == pytest.approx([chosen - mean, chosen - best, best - mean])


def test_the_chosen_set_is_the_first_of_its_rule():
    selection, chosen = FOUND["selection"], FOUND["chosen"]
    assert selection["sets"] == 2 * sum(math.comb(len(CANDIDATES), size) for size in (1, 2, 3)) == 1150
    first = selection["first"][0]
    assert (first["features"], first["kind"]) == (chosen["features"], chosen["kind"])
    assert first["error"] == pytest.approx(np.mean([one["rmse"] for one in chosen["families_out"].values()]))
    assert first["error"] == min(one["error"] for one in selection["first"])


def test_the_rule_finds_a_planted_pair():
    rng = np.random.default_rng(1)
    p, q, lure = rng.normal(size=(3, 60))
    family = np.repeat(["a", "b", "c"], 20)
    score = p - 2 * q
    lure += 100 * np.repeat([1.0, 2.0, 3.0], 20) + score  # follows it within a family, far off between them
    columns = {"p": p, "q": q, "lure": lure, "glue": score, "family": family}
    cells = {name: tuple(map(str, column)) for name, column in columns.items()}
    found = ranked(Columns("planted", tuple(map(str, range(60))), cells), ("p", "q", "lure"))
    assert len(found) == 2 * (3 + 3 + 1)
    assert (found[0]["features"], found[0]["kind"]) in (
        (["p", "q"], "linear"),
        (["p", "q", "lure"], "linear"),
    )
    assert found[0]["error"] == pytest.approx(0, abs=1e-10)
    assert next(one["error"] for one in found if one["features"] == ["lure"]) > 1


def test_runs_of_one_dose_are_compared_with_each_other():
    rng = np.random.default_rng(0)
    alpha = np.repeat(np.arange(1.0, 21.0), 3)
    own = rng.normal(size=60)
    x, y = 100 / alpha + own, np.exp(-alpha) * 1000 - own  # a dose that hides the opposite sign
    cells = {"a-patchiness": x, "glue": y, "alpha": alpha}
    linear, rank = between_runs(
        Columns("", ("",) * 60, {name: tuple(map(str, column)) for name, column in cells.items()})
    )
    assert np.corrcoef(x, y)[0, 1] > 0.5
    assert linear["value"] == pytest.approx(-1, abs=1e-9)
    assert rank["value"] < 0
    assert linear["given"] == ("level of alpha",)


def test_the_tables_are_pooled_row_by_row(data):
    found = perturbed(data)
    assert found.names == tuple(f"{family}_{n}" for family in FAMILIES for n in range(10))
    assert found.column("family") == tuple(family for family in FAMILIES for _ in range(10))
    np.testing.assert_allclose(found.numbers("glue"), 1 - found.numbers("alpha") / 100)
    assert np.isnan(found.numbers("EEE")).tolist() == [n == 3 for n in range(30)]
    assert perturbed(data, "roberta").names == tuple(f"roberta_{n}" for n in range(10))
    assert others(data).numbers("glue").tolist() == [0.5, 0.6, 0.7]


def test_each_published_regression_leaves_families_out(data, monkeypatch):
    monkeypatch.setattr("experiments.marbut2024.run.PERMUTATIONS", 9)
    found = regressions(data)
    assert list(found) == [f"{name}{more}" for name in ("a-patchiness", "EEE", "VRM", "IsoScore")
                           for more in ("", " + architecture")]  # fmt: skip
    for name, (fit, kind) in found.items():
        assert kind == "linear"
        assert (fit.group is not None) == name.endswith("architecture")
        assert [one.name for one in fit.linear.groups_out] == sorted(FAMILIES)
        assert fit.rows == (29 if name.startswith("EEE") else 30)
        assert fit.dose.explains_all  # the score is the dose


def test_a_difference_of_errors_by_hand():
    found = against([4.0] * 13, [1.0] * 13)
    assert found == {"difference": 1.0, "interval": [1.0, 1.0]}


def made(levels=pipeline.LEVELS):
    """Return a study in which isoscore is never a number, and the score is vrm and a noise of its own."""
    percents = tuple(map(float, levels))
    found = result(percents=percents, undefined={(p, n) for p in percents for n in range(3)})
    noise = np.random.default_rng(0).normal(size=(len(percents), 3)) * 0.02
    runs = [
        TaskRun(percent=p, seed=n + 1, key="k", steps=96, scores={"matthews": score})
        for place, p in enumerate(percents)
        for n, score in enumerate((-p / 100 if p else -0.3) + noise[place])
    ]
    task = ScoredTask(
        name="cola",
        classes=("0", "1"),
        train_examples=1000,
        dev_examples=1043,
        main_score="matthews",
        budget={"epochs": 3.0},
        runs=runs,
    )
    return found.model_copy(update={"tasks": (task,)}), noise


def test_the_pipeline_collects_what_json_can_hold_and_its_table_shows(monkeypatch):
    monkeypatch.setattr(pipeline, "PERMUTATIONS", 39)
    found, noise = made()
    facts = pipeline.collected(found, minutes=1.0)
    again = json.loads(json.dumps(facts, allow_nan=False))
    task = again["tasks"]["cola"]
    assert task["undefined_or_constant"] == ["isoscore"]
    assert task["deviation_without_noise"] == pytest.approx(noise[0].std(ddof=1))
    assert task["deviation_within_levels"] == pytest.approx(np.sqrt(noise[1:].var(axis=1, ddof=1).mean()))
    columns = pipeline.joined(found, found.tasks[0], "vrm")
    assert columns.shape == (3, 24)
    assert columns[1, :3].tolist() == [-0.3] * 3  # without noise one measurement
    truth = rank_correlations("vrm", *columns)
    rows = task["measures"]["vrm"]
    assert [(tuple(row["given"]), row["value"]) for row in rows] == [(one.given, one.value) for one in truth]
    assert all(row["interval"][0] < row["value"] < row["interval"][1] for row in rows)
    assert rows[0]["p"] == rows[0]["holm"] == 1 / 40  # no shuffle comes near, and there is one measure
    text = pipeline_table(again)
    assert text == pipeline_table(facts)
    lines = text.splitlines()
    assert lines[2].startswith("| cola, matthews | " + " ".join(f"{one - 0.3:.2f}" for one in noise[0]))
    assert lines[6].startswith(f"| vrm | {truth[0].value:+.2f} [")
    assert len({line.count("|") for line in lines[4:]}) == 1


def test_shuffles_have_the_correlations_of_the_definition():
    rng = np.random.default_rng(0)
    percents = np.repeat([0.0, 1.0, 5.0, 20.0], 3)
    values = rng.normal(size=12)
    values[4] = values[7]  # a tie
    scores = rng.integers(6, size=(5, 12)).astype(float)
    for place, (_, held) in enumerate(conditions(percents)):
        truth = [rank_correlations("m", percents, values, row)[place].value for row in scores]
        np.testing.assert_allclose(pipeline.drawn(held, values, scores), truth, atol=1e-12)


def test_p_is_corrected_after_holm():
    assert pipeline.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert pipeline.holm([0.9, 0.8]) == [1, 1]


def test_only_both_partial_correlations_of_one_sign_are_beyond_the_dose():
    def row(*ps, values=(0.9, 0.5, 0.5)):
        given = ((), ("rank of percent",), ("level of percent",))
        return {g: {"value": v, "holm": p} for g, v, p in zip(given, values, ps, strict=False)}

    assert verdict(row(0.01, 0.01, 0.01)) == "beyond the dose"
    assert verdict(row(0.01, 0.01, 0.2)) == "follows the dose"
    assert verdict(row(0.01, 0.01, 0.01, values=(0.9, 0.5, -0.5))) == "follows the dose"
    assert verdict(row(0.01, 0.01)) == "follows the dose"  # within levels there was nothing to compare
    assert verdict(row(0.2, 0.01, 0.01)) == "within noise"
