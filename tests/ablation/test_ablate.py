"""The whole path on a small model: the same data for all arms, resuming, adding, and choosing weights."""

import dataclasses
import json
import logging
import re
import sys

import pytest
from safetensors.torch import load_file, save_file

from conescope.ablation import Plan, ablate, parse_arm
from conescope.ablation.calibration import expected_calibration_error, negative_log_likelihood
from conescope.ablation.running import Prepared
from conescope.ablation.weight_selection import select_weights
from conescope.results.ablation import Ablation
from conescope.survey.measure import measure
from conescope.training.encoder import encode, load_tokenizer
from conescope.training.provenance import training_versions
from conescope.training.recipe import Recipe
from conescope.training.scores import classification_scores
from conescope.training.single_run import train_model
from conescope.training.tables import LabelledTexts
from tests.samples import models

CLASSES = ("no", "yes")
NOTHING = "koleo:weight=0"  # a regularizer that is computed and has no effect


def data(count, seed):
    rows = models.sentences(count, seed)
    return LabelledTexts(
        tuple(text for text, _ in rows), None, tuple(CLASSES.index(label) for _, label in rows)
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(models.save_bert(tmp_path_factory.mktemp("bert")))


def plan(model, arms, *, seeds=(0,), epochs=2.0, dev=None, save_steps=200, **settings):
    recipe = Recipe(
        model=model,
        epochs=epochs,
        lr=5e-3,
        batch_size=8,
        precision="fp32",
        device="cpu",
        save_steps=save_steps,
    )
    specs = tuple(parse_arm(arm) for arm in arms)
    settings = {"weights": "given", "curve_every": 0.5} | settings
    return Plan("small", recipe, data(40, 0), dev or data(24, 1), CLASSES, specs, seeds, **settings)


@pytest.fixture(scope="module")
def finished(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablation")
    arms = ("none", NOTHING, "persistent-entropy:selection=None")
    return ablate(plan(model, arms), folder, command="the command"), folder


def numbers(run):
    """What does not depend on the clock."""
    rows = [{k: v for k, v in row.items() if "second" not in k} for row in run.history]
    timed = {"seconds", "step_seconds", "regularizer_seconds", "history"}
    return run.model_dump(exclude=timed) | {
        "history": [{k: v for k, v in row.items() if not k.endswith(("runtime", "flos"))} for row in rows]
    }


def test_every_arm_is_there_and_plain_is_first(finished):
    result, folder = finished
    assert [arm.name for arm in result.arms] == ["plain", NOTHING, "persistent-entropy:selection=None"]
    assert [arm.weight for arm in result.arms] == [None, 0.0, 1.0]
    assert Ablation.model_validate_json((folder / "ablation.json").read_bytes()) == result
    assert {row.arm for row in result.differences} == {arm.name for arm in result.arms[1:]}


def test_a_regularizer_without_weight_changes_nothing_at_all(finished):
    """The same head, order of data and dropout: else not one number would be equal."""
    plain, nothing, entropy = (arm.runs[0] for arm in finished[0].arms)
    for name in ("scores", "calibration", "train_scores", "curve", "geometry"):
        assert getattr(plain, name) == getattr(nothing, name)
    assert plain.geometry != entropy.geometry


@pytest.mark.parametrize(
    "nothing", ["iso-score:weight=0", "sliced-gaussian:memory=32,weight=0", "koleo:layers=-1+2,weight=0"]
)
def test_no_arm_shifts_the_dropout_and_what_its_outcome_shows_is_logged(model, tmp_path, nothing, caplog):
    with caplog.at_level(logging.WARNING, logger="conescope"):
        plain, other = (arm.runs[0] for arm in ablate(plan(model, (nothing,)), tmp_path).arms)
    for name in ("scores", "calibration", "train_scores", "curve", "geometry"):
        assert getattr(plain, name) == getattr(other, name)
    (idle,) = [text for text in other.warnings if "isotropy is not moving" in text]
    assert f"{nothing}, seed 0: {idle}" in caplog.messages


def test_all_arms_get_the_same_examples_in_the_same_order(model, tmp_path):
    class Recording(list):
        def __init__(self, rows):
            super().__init__(rows)
            self.order = []

        def __getitem__(self, row):
            # the runtime check of types looks at elements, too
            if sys._getframe(1).f_code.co_filename.endswith("fetch.py"):  # the data loader's
                self.order.append(row)
            return super().__getitem__(row)

    settings = plan(model, ())
    tokenizer = load_tokenizer(settings.recipe)
    orders = []
    for number, arm in enumerate(("none", "sliced-gaussian")):
        train = Recording(encode(settings.train, tokenizer, 32))
        train_model(
            settings.recipe, train, None, CLASSES, tokenizer, tmp_path / str(number),
            seed=3, regularizer=parse_arm(arm).loss(), on_step=lambda step, steps, loss: None,
        )  # fmt: skip
        orders.append(train.order)
    assert len(orders[0]) == 80
    assert orders[0][:40] != sorted(orders[0][:40])
    assert orders[1] == orders[0]


def test_measures_are_those_of_the_stored_embeddings(finished):
    result, folder = finished
    (place,) = folder.glob("runs/persistent-entropy*")
    stored, run = load_file(place / "embeddings.safetensors"), result.arms[2].runs[0]
    labels, logits = stored["labels"], stored["logits"]
    assert labels.tolist() == list(data(24, 1).labels)
    assert run.scores == classification_scores(labels.tolist(), logits.argmax(1).tolist())
    assert run.calibration["nll"] == pytest.approx(float(negative_log_likelihood(logits, labels)))
    assert run.calibration["ece"] == pytest.approx(float(expected_calibration_error(logits, labels)))
    found = measure(stored["points"], labels, ["anisotropy_1", "mean_cosine"], intervals=False, null=False)
    assert run.geometry["anisotropy_1"] == pytest.approx(found.value("anisotropy_1"))
    assert run.geometry["mean_cosine"] == pytest.approx(found.value("mean_cosine"))


def test_the_curve_ends_with_the_result(finished):
    for arm in finished[0].arms:
        run = arm.runs[0]
        assert [row["step"] for row in run.curve] == [2, 4, 6, 8, 10]
        assert run.curve[-1]["nll"] == run.calibration["nll"]
        assert run.curve[-1]["matthews"] == run.scores["matthews"]
        assert len({row["nll"] for row in run.curve}) == 5


def test_finished_runs_are_kept_when_arms_and_seeds_are_added(finished, model):
    result, folder = finished
    before = {path: path.read_bytes() for path in folder.glob("runs/*/run.json")}
    seen = set()
    arms = (NOTHING, "persistent-entropy:selection=None", "koleo:weight=0.1,sphere=true")
    more = ablate(
        plan(model, arms, seeds=(0, 1)), folder, progress=lambda arm, seed, *rest: seen.add((arm, seed))
    )
    assert len(more.arms) == 4
    assert seen == {(arm.name, 1) for arm in more.arms} | {("koleo:sphere=true,weight=0.1", 0)}
    assert [arm.runs[0] for arm in more.arms[:3]] == [arm.runs[0] for arm in result.arms]
    assert all(path.read_bytes() == text for path, text in before.items())
    assert not list(folder.glob("runs/*/checkpoints"))


def test_the_result_holds_every_finished_run_while_more_are_made(model, tmp_path):
    before = ablate(plan(model, ("none",), seeds=(0, 1), epochs=1.0), tmp_path)

    def stop(arm, seed, step, steps, loss):
        if seed == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate(plan(model, (NOTHING,), seeds=(0, 1), epochs=1.0), tmp_path, progress=stop)
    after = Ablation.model_validate_json((tmp_path / "ablation.json").read_bytes())
    assert after.arms[0] == before.arms[0]
    assert [run.seed for run in after.arms[1].runs] == [0]
    assert after.notes[0] == "3 of 4 runs are finished"


def test_a_folder_is_of_one_kind_of_device(model, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "device.json").write_text(json.dumps({"device": "cuda", "precision": "fp32"}))
    with pytest.raises(ValueError, match="device = cuda, now it is cpu"):
        ablate(plan(model, ("none",)), tmp_path)
    assert not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_a_folder_is_of_the_libraries_that_its_runs_were_made_with(model, tmp_path, library):
    here = training_versions()
    (tmp_path / "runs").mkdir()
    (tmp_path / "versions.json").write_text(json.dumps(here | {library: "1.2.3"}))
    with pytest.raises(ValueError, match=rf"{library} = 1\.2\.3, now it is {re.escape(here[library])}"):
        ablate(plan(model, ("none",)), tmp_path)
    assert not list((tmp_path / "runs").iterdir())


def test_a_folder_is_of_the_weights_that_its_runs_began_with(tmp_path):
    model = str(models.save_bert(tmp_path / "bert"))
    ablate(plan(model, ("none",), epochs=1.0), tmp_path / "out")
    (weights,) = (tmp_path / "bert").glob("*.safetensors")
    tensors = load_file(weights)
    before = weights.read_bytes()
    save_file({name: tensor + 1e-3 for name, tensor in tensors.items()}, weights, metadata={"format": "pt"})
    with pytest.raises(ValueError, match="weights_sha256 = "):
        ablate(plan(model, ("none",), epochs=1.0), tmp_path / "out")
    weights.write_bytes(before)
    ablate(plan(model, ("none",), epochs=1.0), tmp_path / "out")


def test_no_weight_is_chosen_for_low_anisotropy_of_an_arm_that_raises_it(model):
    with pytest.raises(ValueError, match="which iso-score:sign=anisotropic raises; give it a weight"):
        plan(model, ("iso-score:sign=anisotropic",), weights="auto")
    plan(model, ("iso-score:sign=anisotropic,weight=0.1",), weights="auto")
    plan(model, ("iso-score:sign=anisotropic",), weights="given")


def test_a_call_that_trained_nothing_does_not_claim_the_folder(model, tmp_path):
    with pytest.raises(ValueError, match="no model"):
        ablate(plan(str(tmp_path / "misspelled"), ("none",), epochs=1.0), tmp_path / "out")
    assert ablate(plan(model, ("none",), epochs=1.0), tmp_path / "out").arms[0].runs


def test_an_arm_that_does_not_fit_the_recipe_is_refused_before_any_is_trained(model, tmp_path):
    made = plan(model, ("koleo:layers=-1+1",))
    unfit = dataclasses.replace(made, recipe=dataclasses.replace(made.recipe, pooling="first_last_mean"))
    with pytest.raises(ValueError, match="the loss names its layers"):
        ablate(unfit, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_recipe_in_the_same_folder_is_refused(finished, model):
    with pytest.raises(ValueError, match=r"epochs = 2\.0, now it is 1\.0"):
        ablate(plan(model, ("none",), epochs=1.0), finished[1])


@pytest.mark.parametrize("arm", ["koleo:balanced=0.2,memory=32", "iso-score"])
def test_a_stopped_run_ends_where_it_would_have(model, tmp_path, arm):
    arms = (arm,)
    whole = ablate(plan(model, arms, save_steps=4), tmp_path / "whole")

    def stop(arm, seed, step, steps, loss):
        if arm != "plain" and step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate(plan(model, arms, save_steps=4), tmp_path / "stopped", progress=stop)
    half = Ablation.model_validate_json((tmp_path / "stopped" / "ablation.json").read_bytes())
    assert [arm.name for arm in half.arms] == ["plain"]
    assert half.notes[0] == "1 of 2 runs are finished"
    steps = []
    resumed = ablate(
        plan(model, arms, save_steps=4),
        tmp_path / "stopped",
        progress=lambda arm, seed, step, n, loss: steps.append((arm, step)),
    )
    assert steps == [(arms[0], n) for n in range(5, 11)]
    for arm, again in zip(whole.arms, resumed.arms, strict=True):
        assert numbers(arm.runs[0]) == numbers(again.runs[0])


def test_weights_are_chosen_without_the_dev_set(model, tmp_path):
    settings = {"weights": "auto", "grid": (0.1, 30.0), "epochs": 1.0}
    first = plan(model, ("koleo", "koleo:sphere=true,weight=2"), **settings)
    tried, choices = select_weights(Prepared(first), tmp_path / "a", lambda *seen: None)
    other = plan(model, ("koleo",), dev=data(10, 5), **settings)
    again, same = select_weights(Prepared(other), tmp_path / "b", lambda *seen: None)
    assert (tried, choices) == (again, same)
    assert [row.weight for row in tried] == [0.1, 30.0]
    assert [choice.arm for choice in choices] == ["koleo"]
    assert tried[0].geometry != tried[1].geometry

    def fail(*seen):
        raise AssertionError("trained again")

    assert select_weights(Prepared(first), tmp_path / "a", fail) == (tried, choices)
    assert len(list((tmp_path / "a" / "selection").iterdir())) == 3  # plain and two weights


def test_a_try_that_can_not_be_read_is_named(model, tmp_path):
    settings = plan(model, ("koleo",), weights="auto", grid=(0.1,), epochs=1.0)
    select_weights(Prepared(settings), tmp_path, lambda *seen: None)
    (path,) = (tmp_path / "selection").glob("koleo-*.json")
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"koleo-.*\.json is not a try of this version"):
        select_weights(Prepared(settings), tmp_path, lambda *seen: None)


def test_a_chosen_weight_is_the_one_that_is_run(model, tmp_path):
    result = ablate(
        plan(model, ("koleo",), weights="auto", grid=(0.3,), epochs=1.0, keep_embeddings=False), tmp_path
    )
    assert result.choices[0].weight == result.arms[1].weight == 0.3
    assert not list(tmp_path.glob("runs/*/embeddings.safetensors"))
    assert json.loads((tmp_path / "ablation.json").read_text())["tried"][0]["weight"] == 0.3


def test_a_task_that_plain_training_has_not_learned_is_told(model, tmp_path):
    untaught = plan(model, ("koleo",), weights="auto", grid=(0.3,), epochs=1.0, keep_embeddings=False)
    untaught = dataclasses.replace(untaught, recipe=dataclasses.replace(untaught.recipe, lr=1e-9))
    result = ablate(untaught, tmp_path)
    assert result.verdict.startswith("Plain training has not learned this task: Matthews correlation ")
    costs, chosen = result.notes
    assert costs.startswith("a score that is no more than a guess has nothing to lose")
    assert chosen.startswith("weights were chosen where plain training has not learned the task (Matthews")
    assert result.arms[0].runs[0].scores["matthews"] < 2 / 24**0.5


def test_plans_that_are_refused(model):
    good = plan(model, ("koleo",))
    assert good.arms[0].name == "plain"
    assert good.training_runs == 2
    for change, words in (
        ({"seeds": (1, 1)}, "seeds must be different"),
        ({"arms": (parse_arm("koleo"),) * 2}, "is there twice"),
        ({"grid": (0.0,)}, "positive weights"),
        ({"validation_share": 1.0}, "validation_share"),
        ({"curve_every": 0.0}, "curve_every"),
        ({"selection_epochs": 0.0}, "epochs must be positive"),
    ):
        with pytest.raises(ValueError, match=words):
            dataclasses.replace(good, **change)
