"""The whole path on a small model: arms, seeds, resuming, and what the result says."""

import json

import pytest
import torch
from safetensors.torch import load_file

from conescope._checkpoints import last_whole_checkpoint
from conescope._devices import chosen_device, chosen_precision
from conescope.results import FineTuning
from conescope.training.experiment import Experiment, PersistentEntropy
from conescope.training.finetune import finetune
from conescope.training.recipe import Recipe
from conescope.training.scores import classification_scores
from conescope.training.tables import LabelledTexts
from tests.samples import models

CLASSES = ("no", "yes")
ARMS = (None, PersistentEntropy(selection=None))


def data(count, seed):
    rows = models.sentences(count, seed)
    return LabelledTexts(
        tuple(text for text, _ in rows), None, tuple(CLASSES.index(label) for _, label in rows)
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(models.save_bert(tmp_path_factory.mktemp("bert")))


def experiment(model, *, arms=ARMS, seeds=(0, 1), **recipe):
    recipe = {"epochs": 3.0, "lr": 5e-3, "batch_size": 16, "precision": "fp32", "device": "cpu"} | recipe
    return Experiment("small", Recipe(model=model, **recipe), data(96, 0), data(40, 1), CLASSES, arms, seeds)


@pytest.fixture(scope="module")
def finished(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return finetune(experiment(model), folder, command="the command"), folder


def test_every_arm_and_seed_is_there(finished):
    result, _ = finished
    assert [(arm.name, [run.seed for run in arm.runs]) for arm in result.arms] == [
        ("plain", [0, 1]),
        ("persistent-entropy (all bars)", [0, 1]),
    ]
    assert all(run.steps == 18 for arm in result.arms for run in arm.runs)


def test_scores_are_those_of_the_predictions(finished):
    result, _ = finished
    labels = list(data(40, 1).labels)
    for arm in result.arms:
        for run in arm.runs:
            assert run.scores == pytest.approx(classification_scores(labels, list(run.predictions)))
            assert run.evaluations[-1]["accuracy"] == pytest.approx(run.scores["accuracy"])


def test_differences_are_paired_means(finished):
    result, _ = finished
    plain, treated = result.arms
    for difference in result.differences:
        if difference.kind == "task":
            changes = [
                b.scores[difference.name] - a.scores[difference.name]
                for a, b in zip(plain.runs, treated.runs, strict=True)
            ]
        elif difference.kind == "geometry":
            name = difference.name
            changes = [
                b.after.measurement.value(name) - a.after.measurement.value(name)
                for a, b in zip(plain.runs, treated.runs, strict=True)
            ]
        else:
            changes = [b.step_seconds - a.step_seconds for a, b in zip(plain.runs, treated.runs, strict=True)]
        assert difference.difference == pytest.approx(sum(changes) / 2)
        assert difference.difference == pytest.approx(difference.regularized - difference.plain)


def test_both_arms_start_from_the_same_geometry(finished):
    result, _ = finished
    starts = [run.before.measurement for arm in result.arms for run in arm.runs]
    assert all(start == starts[0] for start in starts)


def test_the_regularizer_is_logged(finished):
    result, _ = finished
    plain, treated = (arm.runs[0].history for arm in result.arms)
    assert "regularizer" not in plain[0]
    assert {"task_loss", "regularizer", "gradient_share", "bars", "bars_kept", "classes_skipped"} <= set(
        treated[-1]
    )
    assert treated[-1]["loss"] == pytest.approx(
        treated[-1]["task_loss"] + treated[-1]["regularizer"], abs=2e-2
    )


def test_bars_and_spectrum_are_those_of_the_stored_embeddings(finished):
    from conescope.topology import h0_lengths

    result, folder = finished
    stored = load_file(folder / "plain" / "seed-0" / "embeddings.safetensors")
    after = result.arms[0].runs[0].after
    sigma = torch.linalg.svdvals(stored["points"].double() - stored["points"].double().mean(0)).square()
    assert after.spectrum == pytest.approx((sigma / sigma.sum()).tolist(), rel=1e-4)
    lengths = h0_lengths(stored["points"][stored["labels"] == 1][:16]).flip(0)
    assert after.bars[1].lengths == pytest.approx(lengths.tolist(), rel=1e-4)
    assert after.map.share == pytest.approx(sum(after.spectrum[:2]), rel=1e-4)


def test_result_file_reads_back_and_a_second_call_trains_nothing(finished, model):
    result, folder = finished
    assert FineTuning.model_validate_json((folder / "result.json").read_bytes()) == result

    def fail(*seen):
        raise AssertionError("trained again")

    again = finetune(experiment(model), folder, command="the command", progress=fail)
    assert again.arms == result.arms
    assert again.differences == result.differences


def test_models_are_saved_and_load(finished):
    from transformers import AutoModelForSequenceClassification

    _, folder = finished
    saved = AutoModelForSequenceClassification.from_pretrained(folder / "plain" / "seed-1" / "model")
    assert saved.config.id2label == {0: "no", 1: "yes"}


def test_a_stopped_run_goes_on_and_ends_where_it_would_have(model, tmp_path):
    one = {"arms": (PersistentEntropy(selection=None),), "seeds": (0,), "save_steps": 4}
    whole = finetune(experiment(model, **one), tmp_path / "whole").arms[0].runs[0]

    def stop(arm, seed, step, steps, loss):
        if step == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(experiment(model, **one), tmp_path / "stopped", progress=stop)
    steps = []
    resumed = finetune(
        experiment(model, **one),
        tmp_path / "stopped",
        progress=lambda arm, seed, step, n, loss: steps.append(step),
    )
    run = resumed.arms[0].runs[0]
    assert steps[0] == 9  # after the checkpoint of step 8
    assert [row["loss"] for row in run.history] == pytest.approx(
        [row["loss"] for row in whole.history], rel=1e-4
    )
    values = zip(run.after.measurement.values, whole.after.measurement.values, strict=True)
    assert all(a.value == pytest.approx(b.value, rel=1e-3) for a, b in values if a.value is not None)


def test_a_half_written_checkpoint_is_passed_over(tmp_path):
    for step, text in ((10, "{}"), (20, '{"half'), (30, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if text is not None:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(text)
    assert last_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert last_whole_checkpoint(tmp_path / "none") is None


def test_a_folder_with_another_experiment_is_refused(finished, model):
    _, folder = finished
    with pytest.raises(
        ValueError, match=r"holds an experiment with lr = 0\.005, now it is 0\.1; give another folder"
    ):
        finetune(experiment(model, lr=0.1), folder)


@pytest.mark.parametrize(("file", "name"), [("versions.json", "torch"), ("device.json", "device")])
def test_runs_that_were_made_with_something_else_are_refused(model, tmp_path, file, name):
    (tmp_path / file).write_text(json.dumps({name: "another"}))
    with pytest.raises(ValueError, match=f"holds an experiment with {name} = another, now it is "):
        finetune(experiment(model), tmp_path)


def test_one_seed_has_intervals_over_examples(model, tmp_path):
    result = finetune(experiment(model, seeds=(0,), epochs=1.0), tmp_path, save_models=False)
    basis = {difference.kind: difference.basis for difference in result.differences}
    assert basis == {
        "task": "40 held-out examples, one seed",
        "geometry": "40 held-out examples, one seed",
        "time": "one seed",
    }
    assert "This is one seed" in result.verdict
    assert not (tmp_path / "plain" / "seed-0" / "model").exists()


def test_unknown_models_and_settings_are_named(model, tmp_path):
    with pytest.raises(ValueError, match=r"no model '.*nowhere': neither a folder with a transformers model"):
        finetune(experiment(str(tmp_path / "nowhere")), tmp_path / "runs")
    with pytest.raises(ValueError, match="precision must be auto, fp32, bf16 or fp16, got 'half'"):
        finetune(experiment(model, precision="half"), tmp_path / "runs")
    with pytest.raises(ValueError, match="device must be auto, cpu, cuda"):
        finetune(experiment(model, device="gpu:x"), tmp_path / "runs")


def test_auto_choices():
    assert chosen_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert chosen_precision("auto", torch.device("cpu")) in ("bf16", "fp32")


def test_the_experiment_file_says_what_was_run(finished):
    _, folder = finished
    settings = json.loads((folder / "experiment.json").read_text())
    assert settings["seeds"] == [0, 1]
    assert settings["arms"] == [None, {"weight": 1.0, "selection": None, "min_points": 5}]
