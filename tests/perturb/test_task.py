"""Scores of perturbed models: those of the model fine-tuned by hand, kept, and told apart from the dose."""

import dataclasses

import numpy as np
import pytest
import torch
import transformers
from scipy.stats import spearmanr

from conescope.perturb import Budget, Task, parse_task, perturbed, read_task, scoring, study
from conescope.perturb.given_dose import rank_correlations, score_associations, told
from conescope.results import Measurement, Perturbation, PerturbedRun, ScoredTask, TaskRun
from conescope.training.encoder import encode
from conescope.training.single_run import train_model, train_run
from conescope.training.tables import LabelledTexts
from tests.cli.small_models import SENTENCES, bert
from tests.profile.profiled import values

TEXTS = SENTENCES[:4] * 3
LABELS = tuple(int("cat" in text) for text in TEXTS)  # two of four sentences
TASK = Task(
    "cats",
    LabelledTexts(tuple(TEXTS), None, LABELS),
    LabelledTexts(tuple(TEXTS[:8]), None, LABELS[:8]),
    ("no", "yes"),
)
BUDGET = Budget(examples=10, epochs=1.0, lr=1e-2, batch_size=4, max_length=16, precision="fp32")
GIVEN = {"percents": [0, 30], "repeats": 2, "seed": 5, "measures": ["isoscore", "eee"], "budget": BUDGET}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return bert(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    """Return a study with a task, and its folder."""
    out = tmp_path_factory.mktemp("made")
    return study(folder, TEXTS, **GIVEN, tasks=[TASK], path=out), out


@pytest.fixture
def trained(monkeypatch):
    """Return a list that gets the seed of every fine-tuning that is really made."""
    seeds = []

    def seen(*given, seed, **options):
        seeds.append(seed)
        return train_model(*given, seed=seed, **options)

    monkeypatch.setattr(scoring, "train_model", seen)
    return seeds


def test_scores_are_those_of_the_perturbed_model_by_hand(made, folder, tmp_path):
    (task,) = made[0].tasks
    assert [(run.percent, run.seed) for run in task.runs] == [(0, 5), (0, 6), (30, 5), (30, 6)]
    assert (task.train_examples, task.dev_examples, task.main_score) == (10, 8, "matthews")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder)
    rows = sorted(np.random.default_rng(0).permutation(12)[:10])
    train = LabelledTexts(tuple(TEXTS[row] for row in rows), None, tuple(LABELS[row] for row in rows))
    examples = [encode(data, tokenizer, 16) for data in (train, TASK.dev)]
    for run in (task.runs[0], task.runs[3]):
        place = tmp_path / f"{run.percent}"
        with perturbed(model, run.percent, run.seed):
            model.save_pretrained(place)
        recipe = dataclasses.replace(BUDGET.recipe(str(place), "cpu"))
        wanted, _ = train_run(
            recipe,
            *examples,
            TASK.classes,
            tokenizer,
            place,
            seed=run.seed,
            regularizer=None,
            on_step=lambda step, steps, loss: None,
        )
        assert run.scores == wanted.scores
        assert run.steps == 3  # one epoch; evaluating between two would draw numbers of dropout


def test_the_measures_and_the_model_are_as_without_a_task(made, folder):
    assert made[0].runs == study(folder, TEXTS, **GIVEN).runs
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    given = GIVEN | {"percents": [30], "repeats": 1}
    found = study(model, TEXTS, **given, tasks=[TASK], processor=tokenizer)
    assert found.tasks[0].runs[0].scores == made[0].tasks[0].runs[2].scores  # a module, and no folder
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_folder_holds_a_file_for_each_run_and_no_model(made):
    found, out = made
    names = [f"cats-percent-{percent}-seed-{seed}.json" for percent in (0, 30) for seed in (5, 6)]
    assert sorted(file.name for file in (out / "tasks").iterdir()) == names
    assert Perturbation.model_validate_json((out / "perturbation.json").read_bytes()) == found
    assert TaskRun.model_validate_json((out / "tasks" / names[3]).read_bytes()) == found.tasks[0].runs[3]


def test_a_stopped_study_goes_on(made, folder, tmp_path, trained):
    def stop(done, total):
        if total == 12 and done == 7:  # steps: in the third of four fine-tunings
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(folder, TEXTS, **GIVEN, tasks=[TASK], path=tmp_path, advance=stop)
    assert trained == [5, 6, 5]
    assert not list(tmp_path.rglob("tasks/**/*.safetensors"))  # the perturbed model is gone
    trained.clear()
    told_steps = []
    found = study(
        folder, TEXTS, **GIVEN, tasks=[TASK], path=tmp_path, advance=lambda *done: told_steps.append(done)
    )
    assert trained == [5, 6]
    assert found == made[0]
    assert told_steps[-1] == (12, 12)
    trained.clear()
    other = Task("dogs", TASK.train, TASK.dev, TASK.classes)
    more = study(folder, TEXTS, **(GIVEN | {"measures": ["vrm"]}), tasks=[TASK, other], path=tmp_path)
    assert trained == [5, 6, 5, 6]  # other measures change no score; the second task has all runs
    assert more.tasks[0].runs == made[0].tasks[0].runs
    assert [run.scores for run in more.tasks[1].runs] == [run.scores for run in more.tasks[0].runs]


@pytest.mark.parametrize(
    "other", [{"budget": dataclasses.replace(BUDGET, lr=2e-2)}, {"noise": "matched"}, {"tasks": "flipped"}]
)
def test_scores_of_other_settings_are_not_taken(folder, tmp_path, trained, other):
    given = GIVEN | {"percents": [30], "repeats": 1, "tasks": [TASK], "path": tmp_path}
    study(folder, TEXTS, **given)
    if other.get("tasks"):
        flipped = dataclasses.replace(TASK.dev, labels=tuple(1 - label for label in TASK.dev.labels))
        other = {"tasks": [dataclasses.replace(TASK, dev=flipped)]}
    study(folder, TEXTS, **(given | other))
    assert trained == [5, 5]


def test_tables_become_tasks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "a\tb\tclass\none\ttwo\tx\nthree\tfour\ty\nfive\tsix\tx\nseven\teight\ty\n"
    for name in ("t.tsv", "d.tsv"):
        (tmp_path / name).write_text(rows)
    task = parse_task("pairs=t.tsv,d.tsv,text=a,pair=b,label=class")
    assert task == read_task("pairs", "t.tsv", "d.tsv", text="a", pair="b", label="class")
    assert (task.train.texts[1], task.train.pairs[1], task.train.labels) == ("three", "four", (0, 1, 0, 1))
    assert Budget(examples=4).applied(task) is task
    with pytest.raises(ValueError, match=r"a task is NAME=TRAIN,DEV or .*; got 'pairs=t.tsv'"):
        parse_task("pairs=t.tsv")
    with pytest.raises(ValueError, match=r"columns of a task are text, pair, label.*; got 'txt=a'"):
        parse_task("pairs=t.tsv,d.tsv,txt=a")
    with pytest.raises(ValueError, match=r"a task's name has letters.*got '../x'"):
        parse_task("../x=t.tsv,d.tsv,text=a,label=class")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"examples": 1}, "examples to train on must be at least 2, got 1"),
        ({"epochs": 0.0}, "epochs must be positive, got 0.0"),
        ({"precision": "fp8"}, "precision must be auto, fp32, bf16 or fp16"),
    ],
)
def test_a_budget_that_can_not_be_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        Budget(**given)


def test_what_can_not_be_fine_tuned_is_said(folder):
    with pytest.raises(ValueError, match="every task needs a name of its own, got cats, cats"):
        study(folder, TEXTS, **GIVEN, tasks=[TASK, TASK])
    twins = [dataclasses.replace(TASK, name=name) for name in ("a.cat", "A_cat")]
    with pytest.raises(ValueError, match=r"every task needs a name of its own, got a.cat, A_cat"):
        study(folder, TEXTS, **GIVEN, tasks=twins)  # one file, or one figure, for both
    blocks = torch.nn.Module()
    blocks.layers = torch.nn.ModuleList([torch.nn.Linear(4, 4)])
    given = (None, None, "encoder weights", True, "unit", torch.device("cpu"))
    with pytest.raises(ValueError, match="needs a model of transformers, got Module"):
        scoring.scoring(blocks, *given)
    with pytest.raises(ValueError, match="needs the model's tokenizer; give it as processor"):
        scoring.scoring(transformers.AutoModel.from_pretrained(folder), *given)


def test_what_can_not_be_fine_tuned_is_said_before_anything_is_run(folder):
    rows = sorted(np.random.default_rng(0).permutation(12)[:2])
    labels = tuple(int(row not in rows) for row in range(12))  # those drawn are all of one class
    task = dataclasses.replace(TASK, train=dataclasses.replace(TASK.train, labels=labels))
    stages = []
    given = GIVEN | {"budget": dataclasses.replace(BUDGET, examples=2)}
    with pytest.raises(ValueError, match="the 2 examples drawn are all of one class"):
        study(folder, TEXTS, **given, tasks=[task], stage=stages.append)
    assert stages == []


def partial_by_hand(x, y, z):
    """Return the partial correlation from the three plain ones, of ranks."""
    rho = spearmanr(np.column_stack([x, y, z])).statistic
    return (rho[0, 1] - rho[0, 2] * rho[1, 2]) / np.sqrt((1 - rho[0, 2] ** 2) * (1 - rho[1, 2] ** 2))


def test_correlations_are_those_of_the_definitions():
    rng = np.random.default_rng(0)
    percents = np.repeat([0.0, 1.0, 5.0, 20.0], 3)
    x, y = (percents + rng.normal(size=12) * 4 for _ in range(2))
    plain, given_rank, given_level = rank_correlations("m", percents, x, y)
    assert plain.value == pytest.approx(spearmanr(x, y).statistic)
    assert given_rank.value == pytest.approx(partial_by_hand(x, y, percents))
    within = [np.argsort(np.argsort(one)).astype(float) for one in (x, y)]
    for level in set(percents):
        for ranks in within:
            ranks[percents == level] -= ranks[percents == level].mean()
    assert given_level.value == pytest.approx(np.corrcoef(*within)[0, 1])
    assert len(rank_correlations("m", percents[:2], x[:2], y[:2])) == 1  # one level, too few runs for levels


def task_of(made):
    """Return a task whose runs at level i have the scores made[i], and the measures beside them."""
    percents = (0.0, 1.0, 3.0, 10.0, 30.0)
    scores = [
        TaskRun(percent=p, seed=s, key="k", steps=1, scores={"matthews": value})
        for p, row in zip(percents, made, strict=True)
        for s, value in enumerate(row)
    ]
    return percents, scores


def study_of(measured, scored):
    """Return the task with the correlations of a measure (levels, repeats) with scores of that shape."""
    percents, runs = task_of(scored)
    measurements = [
        PerturbedRun(
            percent=p,
            seed=s,
            key="k",
            constant=False,
            measurement=Measurement(n=9, d=4, values=values(isoscore=value, vrm=0.5)),
        )
        for p, row in zip(percents, measured, strict=True)
        for s, value in enumerate(row if p else row[:1])
    ]
    return ScoredTask(
        name="made",
        classes=("a", "b"),
        train_examples=1,
        dev_examples=1,
        main_score="matthews",
        budget={},
        runs=runs,
        associations=score_associations(measurements, runs, "matthews"),
    )


def test_what_the_dose_explains_is_told_from_what_it_does_not():
    rng = np.random.default_rng(1)
    dose = -np.arange(5.0)[:, None]
    own, other = rng.normal(size=(2, 5, 4)) * 0.3
    own[0] = own[0, 0]  # without noise one measurement serves all
    explained = study_of(dose + own, dose + other)
    assert explained.association("isoscore").value > 0.9
    assert explained.outcome("isoscore") == "explained by the dose"
    lines = told(explained)
    assert lines[0].startswith("made: explained by the dose is how isoscore go with matthews")
    deviation = np.std(dose[0] + other[0], ddof=1)
    assert explained.noise("matthews") == pytest.approx(deviation)
    assert lines[-1].endswith(f"has standard deviation {deviation:.3g} over the seeds of fine-tuning")
    beyond = study_of(dose + own, dose + own + other / 100)
    assert beyond.outcome("isoscore") == "beyond the dose"
    assert told(beyond)[0].startswith("made: isoscore go with matthews at equal percentages, too; of 2")
    assert study_of(own, other).outcome("isoscore") == "within noise"
    assert beyond.outcome("vrm") == "nothing to compare"  # it is constant
    ranks = [one for one in beyond.associations if one.given != ("level of percent",)]
    few = beyond.model_copy(update={"associations": tuple(ranks)})
    assert few.association("isoscore", "rank of percent").low > 0
    assert few.outcome("isoscore") == "nothing to compare"  # what is left may be a curve of the dose


def test_a_score_that_is_the_same_in_all_runs_is_told():
    measured = np.arange(10.0).reshape(5, 2)
    lines = told(study_of(measured, np.zeros((5, 2))))
    assert lines[0].startswith("made: matthews is 0 in all 10 runs")
    assert not any("in all 10 runs" in line for line in told(study_of(measured, np.eye(5)[:, :2])))


def test_responses_are_means_and_ranges():
    _, runs = task_of([[0.5, 0.7], [0.1, 0.4], [0.0, 0.0], [0.2, 0.3], [0.0, 0.1]])
    task = study_of(
        [[1, 1], [1, 2], [2, 3], [3, 4], [4, 5]],
        [[run.scores["matthews"] for run in runs if run.percent == p] for p in (0, 1, 3, 10, 30)],
    )
    first, second, *_ = task.responses("matthews")
    assert (first.percent, first.mean, first.low, first.high) == (0, pytest.approx(0.6), 0.5, 0.7)
    assert (second.percent, second.mean, second.defined) == (1, pytest.approx(0.25), 2)
    with pytest.raises(KeyError, match="there is no score 'f1' of made; there are matthews"):
        task.responses("f1")
