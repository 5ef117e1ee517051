"""The callback in real, small trainings."""

from types import SimpleNamespace

import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

import conescope
from conescope.training import GeometryCallback, geometry_callback
from tests.samples import models


def trained(folder, callback=None, *, attach=False, steps=4, lr=0.01, dropout=0.1, **options):
    arguments = TrainingArguments(
        str(folder),
        per_device_train_batch_size=8,
        per_device_eval_batch_size=7,
        max_steps=steps,
        learning_rate=lr,
        logging_steps=2,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=3,
        **{"save_strategy": "no"} | options,
    )
    trainer = Trainer(
        model=models.bert(dropout),
        args=arguments,
        train_dataset=models.token_rows(40),
        callbacks=[] if attach or callback is None else [callback],
    )
    if attach:
        assert callback.attach(trainer) is callback
    trainer.train()
    return trainer


def logged(trainer):
    return {
        entry["step"]: entry for entry in trainer.state.log_history if any("geometry" in key for key in entry)
    }


def flat(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.fixture
def seen_logs():
    """A callback that stands for a tracker: what it is told."""

    class Tracker(TrainerCallback):
        def __init__(self):
            self.told = []

        def on_log(self, args, state, control, logs=None, **kwargs):
            self.told.append(logs)

    return Tracker()


@pytest.mark.parametrize("attach", [False, True])
def test_the_logged_values_are_those_of_the_embeddings(tmp_path, attach):
    data = models.token_rows(60)[20:]
    callback = GeometryCallback(
        (-1, 0), every=2, sample=30, measures=("mean_cosine", "drift"), pooling="mean", data=data
    )
    trainer = trained(tmp_path, callback, attach=attach)
    found = logged(trainer)
    assert list(found) == [0, 2, 4]

    chosen = torch.randperm(40, generator=torch.Generator().manual_seed(0))[:30]
    ids = torch.stack([data[int(number)]["input_ids"] for number in chosen])
    model = trainer.model.eval()
    with torch.no_grad():
        hidden = model(input_ids=ids, output_hidden_states=True).hidden_states
    for layer in (-1, 0):
        truth = conescope.measure(hidden[layer].mean(dim=1), measures=["mean_cosine", "drift"])
        for name in ("mean_cosine", "drift"):
            assert found[4][f"geometry/{layer}/{name}"] == pytest.approx(truth.value(name), rel=1e-4)
    assert found[0]["geometry/-1/drift"] != found[4]["geometry/-1/drift"]


def test_attached_it_reaches_trackers_and_takes_no_loss_from_the_log(tmp_path, seen_logs):
    callback = GeometryCallback(every=2, sample=30)
    plain = trained(tmp_path)
    arguments = plain.args
    trainer = Trainer(
        model=models.bert(0.1), args=arguments, train_dataset=models.token_rows(40), callbacks=[seen_logs]
    )
    callback.attach(trainer)
    trainer.train()
    told = [logs for logs in seen_logs.told if "geometry/mean_cosine" in logs]
    assert len(told) == 3
    assert all(set(logs) >= {"geometry/collapsed", "geometry/isoscore"} for logs in told)
    losses = [entry["step"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses == [entry["step"] for entry in plain.state.log_history if "loss" in entry] == [2, 4]


def test_the_weights_come_out_as_without_it(tmp_path):
    callback = GeometryCallback((-1, 1), every=1, sample=30)
    watched, plain = trained(tmp_path, callback), trained(tmp_path)
    assert torch.equal(flat(watched.model), flat(plain.model))
    assert watched.model.training == plain.model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in watched.model.modules())


def test_every_module_gets_its_mode_back_and_hooks_go_when_the_model_fails():
    model = models.bert()
    model.train()
    model.base_model.embeddings.eval()  # frozen, say
    before = [module.training for module in model.modules()]
    callback = GeometryCallback()
    callback._batches = [{"input_ids": torch.tensor([[999_999]])}]  # no such token
    with pytest.raises(IndexError):
        callback._points(model)
    assert [module.training for module in model.modules()] == before
    assert not any(module._forward_hooks for module in model.modules())


def constant(trainer_folder, callback, **options):
    """Train with a step so great that the layer norm's weights make every vector the same, or NaN."""
    return trained(trainer_folder, callback, lr=1e20, steps=6, max_grad_norm=0, optim="sgd", **options)


def test_stop_ends_a_training_that_breaks(tmp_path):
    callback = GeometryCallback(every=1, sample=30, on_collapse="stop")
    with pytest.warns(RuntimeWarning, match="step 1: "):
        trainer = constant(tmp_path, callback)
    assert trainer.state.global_step == 1
    assert [entry["geometry/collapsed"] for entry in logged(trainer).values()] == [0, 1]


def test_checkpoint_saves_once_and_warn_saves_nothing(tmp_path):
    with pytest.warns(RuntimeWarning, match="step 1: "):
        trainer = constant(tmp_path / "saved", GeometryCallback(every=1, sample=30, on_collapse="checkpoint"))
    assert trainer.state.global_step == 6
    assert [path.name for path in (tmp_path / "saved").glob("checkpoint-*")] == ["checkpoint-1"]
    with pytest.warns(RuntimeWarning, match="step 1: "):
        constant(tmp_path / "warned", GeometryCallback(every=1, sample=30))
    assert not list((tmp_path / "warned").glob("checkpoint-*"))


def test_another_rank_measures_nothing_and_stops_with_rank_zero(tmp_path, monkeypatch):
    """What rank 0 heard comes in with the sum over ranks; here it says collapsed."""
    told = []

    def summed(own):
        told.append(float(own))
        return own + 1

    monkeypatch.setattr(geometry_callback, "ranks", lambda: 2)
    monkeypatch.setattr(geometry_callback, "sum_over_ranks", summed)
    monkeypatch.setattr(
        geometry_callback.TrainerState, "is_world_process_zero", property(lambda self: False, lambda *_: None)
    )
    trainer = trained(tmp_path, GeometryCallback(every=1, sample=30, on_collapse="stop"))
    assert told[0] == 0
    assert trainer.state.global_step <= 1
    assert logged(trainer) == {}


def test_settings_and_models_are_checked(tmp_path, without_shape_checks):
    with pytest.raises(ValueError, match=r"layers must be one or more different numbers, got \[1, 1\]"):
        GeometryCallback((1, 1))
    with pytest.raises(ValueError, match="every must be at least 1"):
        GeometryCallback(every=0)
    with pytest.raises(ValueError, match="cls, mean or last_token, got 'first_last_mean'"):
        GeometryCallback(pooling="first_last_mean")
    with pytest.raises(TypeError, match="a generator has none; give held-out rows as data"):
        trained(tmp_path, GeometryCallback(data=(row for row in models.token_rows(4))))
    with pytest.raises(ValueError, match="layer must be one of 0 to 3"):
        trained(tmp_path, GeometryCallback((9,)))


def test_models_that_it_can_not_run_are_refused(without_shape_checks):
    state = SimpleNamespace(is_world_process_zero=True)
    callback = GeometryCallback()
    with pytest.raises(ValueError, match="FSDP and DeepSpeed ZeRO-3 give it a part; measure checkpoints"):
        callback.on_train_begin(SimpleNamespace(fsdp=True), state, None, model=models.bert())
    with pytest.raises(TypeError, match="got Sequential; models of sentence-transformers are measured by"):
        callback.on_train_begin(SimpleNamespace(fsdp=""), state, None, model=torch.nn.Sequential())
