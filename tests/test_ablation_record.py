"""The record of the ablations: no path is left, and the tables hold the numbers of the results."""

import json
import math

import pytest
import torch
from experiments.ablation import pretraining
from experiments.ablation.pretraining import error_of_difference
from experiments.ablation.pretraining_run import QUICK, Corpus, Kept, Seen, seen, token_vectors
from experiments.ablation.record import EVERY, PATH, record, recorded, records
from experiments.ablation.run import BATCHES, FRONT, STUDIES, TUNED_ON, carried, plan, tuned
from experiments.ablation.table import cell, family, number, table
from experiments.bernas2026.corpus import masked
from experiments.bernas2026.models import encoder

from conescope.ablation import parse_arm
from conescope.results import Ablation, Choice
from tests.ablation.made import ablation, arm

PLACE = "/srv/runs/models"


def strict(text):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def found():
    """An arm that is lower by 0.1 in all seeds but for noise, and one that nothing is known of."""
    arms = [
        arm("none", [0.50, 0.52, 0.54, 0.56, 0.58]),
        arm(
            "koleo:weight=0.1",
            [0.51, 0.53, 0.56, 0.56, 0.59],
            [0.201, 0.209, 0.221, 0.229, 0.240],
            warnings=(f"the entropy is at its maximum; see {PLACE}/a.txt",),
        ),
        arm("cosine", [0.40, 0.42, 0.44, 0.46, 0.48]),
    ]
    return ablation(
        arms,
        title="minilm on bbc-low",
        recipe={"model": f"{PLACE}/minilm", "epochs": 3.0, "batch_size": 64},
        command=f"python -m experiments.ablation.run --data {PLACE}",
        notes=("C:\\Users\\someone\\runs is full, ~/else/where too; 3 of 4/5 runs are finished",),
    )


def line_of(text, name):
    lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith(f"| `{name}` |")]
    [cells] = [line for line in lines if len(line) == 12]  # of the study, not of the other tables
    return [part.strip() for part in cells]


def test_no_path_survives(found, tmp_path):
    place, runs = tmp_path / "place", tmp_path / "runs"
    for name in ("bbc-low", "bbc-low-quick"):
        (runs / name).mkdir(parents=True)
        (runs / name / "ablation.json").write_text(found.model_dump_json())
    recorded([runs], place)
    assert [path.name for path in (place / "results").iterdir()] == ["bbc-low.json"]
    for path in (place / "results" / "bbc-low.json", place / "table.md"):
        text = path.read_text()
        for word in ("/srv", "Users", "~/", str(tmp_path), "runs/models"):
            assert word not in text, (path.name, word)
    kept = strict((place / "results" / "bbc-low.json").read_text())
    assert kept["recipe"]["model"] == "minilm"
    assert kept["notes"] == ["runs is full, where too; 3 of 4/5 runs are finished"]
    assert kept["hardware"] == {"processor": "made"}
    assert kept["arms"][1]["runs"][0]["warnings"] == ["the entropy is at its maximum; see a.txt"]


def test_a_model_of_an_unknown_study_is_the_end_of_its_path(found):
    assert record(found, "something").recipe["model"] == "minilm"
    assert record(found, "mpnet-cola-low").recipe["model"] == "mpnet"


@pytest.mark.parametrize(
    "text", ["mean/variance", "1/sqrt(d)", "https://host/page", "a / b", "x.y/z", "-1+3"]
)
def test_what_is_no_path_of_a_machine_stays(text):
    assert PATH.search(text) is None


def test_a_record_is_the_ablation_without_histories_and_curves(found):
    kept = record(found, "bbc-low")
    assert all(run.history == () and run.curve == () for one in kept.arms for run in one.runs)
    for mine, theirs in zip(kept.differences, found.differences, strict=True):
        assert mine.verdict == theirs.verdict
        assert mine.difference == pytest.approx(theirs.difference, rel=1e-5)
    assert kept.front[1].anisotropy == pytest.approx(0.22)
    assert kept.tried[0].geometry == {"anisotropy_1": pytest.approx(0.28)}  # 0.3 - 0.1 / 5
    assert record(kept, "bbc-low") == kept


def test_numbers_of_the_table_are_those_of_the_result(found):
    text = table({"bbc-low": found}, EVERY)
    of = {(each.arm, each.name): each for each in found.differences}
    lower = of["koleo:weight=0.1", "anisotropy_1"]
    cells = line_of(text, "koleo:weight=0.1")
    # (-0.099 - 0.101 - 0.099 - 0.101 - 0.100) / 5; plain's are 0.30, 0.31, ..., 0.34
    assert lower.difference == pytest.approx(-0.1)
    assert cells[2] == (
        f"**-0.100** [{lower.adjusted_low:+.3f}, {lower.adjusted_high:+.3f}] p {lower.adjusted_p:.2g}"
    )
    # 0.01, 0.01, 0.02, 0, 0.01: t is sqrt(10) with four degrees of freedom, and no other arm is tested
    assert cells[1] == "**+0.010** [+0.0012, +0.019] p 0.034"
    assert cells[3] == "**-0.100**"  # uncentered: no interval
    assert cells[-3] == "5.00 %"  # 0.01 of 0.2 seconds
    assert cells[-2:] == ["yes", "score improved; anisotropy improved"]
    by_seed = "0.510, 0.530, 0.560, 0.560, 0.590 | 0.201, 0.209, 0.221, 0.229, 0.240 | -31 %"
    assert f"| `koleo:weight=0.1` | {by_seed} |" in text
    assert line_of(text, "none")[1:3] == ["0.540", "0.320"]
    assert line_of(text, "cosine")[1] == "-0.100 ?"  # the same in all seeds


def test_the_summary_counts_studies(found):
    text = table({"bbc-low": found, "rte": found}, EVERY)
    [line] = [line for line in text.splitlines() if line.startswith("| `koleo` | 2 |")]
    on_front = sum(point.on_front for point in found.front if point.arm == "koleo:weight=0.1")
    assert on_front == 1
    assert line == "| `koleo` | 2 | 2 | 2 | 0 | 0 | 2 | 0 |"
    assert "| rte | 5 | 15 | 2.2 |" in text  # 15 runs of 9 seconds
    missing = next(line for line in text.splitlines() if line.startswith("Studies with results"))
    assert missing.startswith("Studies with results: bbc-low, rte. Without: cola,")
    assert "the entropy is at its maximum" in text
    assert "| `koleo:weight=0.1` | 0.1 | the lowest |" in text


def test_without_results_the_table_says_so(tmp_path):
    recorded([tmp_path], tmp_path)
    assert "Studies with results: none. Without: bbc-low" in (tmp_path / "table.md").read_text()
    assert records(tmp_path) == {}


def test_cells_and_names():
    assert [number(value) for value in (0.5, 0.00123, 225.0, None, 0.0)] == [
        "0.500",
        "0.0012",
        "225",
        "",
        "0.000",
    ]
    assert number(-0.25, sign=True) == "-0.250"
    assert cell(None, interval=True) == ""
    assert family("koleo:per_class=true,weight=0.3") == "koleo:per_class=true"
    assert family("koleo:weight=3") == "koleo"
    assert family("plain") == "plain"


def test_studies_have_arms_that_are_read_and_no_more_than_ten():
    for study in STUDIES.values():
        names = {parse_arm(text).name for text in study.arms}
        assert 2 <= len(names) + study.carried == len(study.arms) + study.carried <= 10
    assert {STUDIES[f"bbc-low-batch-{size}"].batch_size for size in BATCHES} == {8, 32, 128}
    assert all(parse_arm(text).weight is None for text in FRONT)  # chosen, or balanced


def test_the_tuning_study_comes_first_and_is_finished(found, tmp_path):
    with pytest.raises(SystemExit, match=f"run {TUNED_ON} first"):
        tuned(tmp_path)
    (tmp_path / TUNED_ON).mkdir()
    path = tmp_path / TUNED_ON / "ablation.json"
    path.write_text(found.model_copy(update={"notes": ("3 of 9 runs are finished",)}).model_dump_json())
    with pytest.raises(SystemExit, match="3 of 9 runs are finished; run bbc-low to its end"):
        tuned(tmp_path)
    whole = found.model_copy(update={"notes": ()})
    path.write_text(whole.model_dump_json())
    assert tuned(tmp_path) == whole
    assert callable(plan)


def test_the_most_isotropic_arms_that_cost_nothing_are_carried_on():
    scores = [0.5, 0.52, 0.49, 0.51, 0.5]
    worse = [score - 0.3 + 0.001 * place for place, score in enumerate(scores)]
    arms = [
        arm("none", scores),
        arm("persistent-entropy:weight=1", scores, [0.01 + 0.001 * k for k in range(5)]),  # published
        arm("koleo", scores[::-1], [0.2 + 0.001 * k for k in range(5)]),
        arm("cosine", worse, [0.1 + 0.001 * k for k in range(5)]),
        arm("uniformity", scores[::-1], [0.15 + 0.001 * k for k in range(5)]),
    ]
    choices = [Choice(arm=name, weight=0.03, reason="") for name in ("koleo", "cosine", "uniformity")]
    study = ablation(arms, choices=tuple(choices))
    assert [arm.name for arm in carried(study, 2)] == ["uniformity:weight=0.03", "koleo:weight=0.03"]
    assert [arm.name for arm in carried(study, 1)] == ["uniformity:weight=0.03"]


def test_the_score_of_pretraining_is_the_mean_over_masked_tokens():
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0], [0.0, math.log(3)]])
    labels = torch.tensor([0, 0, 0])  # likelihoods 1/2, 3/4, 1/4
    found = Seen(logits, labels, [math.log(1 / 2), math.log(3 / 4) + math.log(1 / 4)], [1, 2])
    assert found.scores["log_likelihood"] == pytest.approx(-found.calibration["nll"])
    assert found.scores["log_likelihood"] == pytest.approx(math.log(3 / 32) / 3)
    assert found.scores["accuracy"] == pytest.approx(2 / 3)  # of two that tie the first is taken
    assert Seen(logits * math.nan, labels, [], []).scores == {}


def test_the_error_of_a_mean_difference():
    # sequences with 2 masked tokens each and changes 1, 2, 3: per token the mean is 1 and the error that of
    # three values 0.5, 1, 1.5, which is 0.5 / sqrt(3)
    plain = Kept(None, [0.0, 0.0, 0.0], [2, 2, 2])
    assert error_of_difference(Kept(None, [1.0, 2.0, 3.0], [2, 2, 2]), plain) == pytest.approx(
        0.5 / math.sqrt(3)
    )


def test_sums_over_sequences_are_the_losses_of_the_model():
    torch.manual_seed(0)
    model = encoder(300, QUICK.size, QUICK.length).eval()
    rows = torch.randint(3, 300, (6, QUICK.length), generator=torch.Generator().manual_seed(1))
    found = seen(model, rows, 300, 4)
    inputs, labels = masked(rows, 300, torch.Generator().manual_seed(0))
    with torch.no_grad():
        loss = model.eval()(input_ids=inputs, labels=labels).loss
    assert found.scores["log_likelihood"] == pytest.approx(-float(loss), abs=0.01)  # bf16
    assert sum(found.counts) == len(found.labels) == int((labels >= 0).sum())
    vectors = token_vectors(model, rows, 4)
    states = model(input_ids=rows, output_hidden_states=True).hidden_states[-1]
    assert torch.allclose(vectors, states.flatten(0, 1), atol=0.05)


def test_pretraining_in_miniature_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pretraining, "GRID", (0.03, 3.0))
    generator = torch.Generator().manual_seed(0)
    train, dev = (torch.randint(3, 60, (rows, QUICK.length), generator=generator) for rows in (20, 8))
    monkeypatch.setattr(pretraining, "corpus_of", lambda folder, setting: Corpus(train, dev, 60))
    found = pretraining.study(tmp_path, tmp_path / "runs", QUICK, seeds=(0, 1))
    assert len(capsys.readouterr().out.splitlines()) == 3 + 6  # 1 + 2 tries, 2 x 3 runs
    again = pretraining.study(tmp_path, tmp_path / "runs", QUICK, seeds=(0, 1))
    assert capsys.readouterr().out == ""
    assert again.model_copy(update={"created": found.created}) == found
    assert [one.name for one in found.arms] == ["plain", *(parse_arm(text).name for text in pretraining.ARMS)]
    for one in found.arms:
        for run in one.runs:
            assert [row["step"] for row in run.curve] == [3, 6]
            assert run.curve[-1]["log_likelihood"] == run.scores["log_likelihood"]
            assert run.calibration["nll"] == pytest.approx(-run.scores["log_likelihood"], abs=1e-5)
    scores = [one.runs[0].scores["log_likelihood"] for one in found.arms]
    assert len(set(scores)) == 3  # the arms do something
    assert strict(record(found, "pretraining").model_dump_json())["main_score"] == "log_likelihood"
    assert isinstance(record(found, "pretraining"), Ablation)
    assert "| log_likelihood |" in table({"pretraining": found}, EVERY)
