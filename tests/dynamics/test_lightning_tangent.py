"""Tangent energy of small trainings by Lightning: against a loop by hand, and through checkpoints."""

import warnings

import pytest
import torch
from torch import nn

from conescope.dynamics import TangentEnergy
from conescope.results import TangentResult
from tests.dynamics.test_tangent_callback import assert_same
from tests.survey.clouds import cloud

pl = pytest.importorskip("lightning.pytorch")
from conescope.dynamics import LightningTangentCallback  # noqa: E402

SETTINGS = {"modules": ["body.0", "body.2"], "every": 2, "draws": 4, "rank": 2}


class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 5))

    def training_step(self, batch, batch_idx):
        points = batch["points"] if isinstance(batch, dict) else batch
        return self.body(points).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.05)


class Stop(pl.Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.global_step == 7:
            raise ValueError("killed")


def fit(folder, *callbacks, data=None, ckpt_path=None, **options):
    module = Net()
    loader = torch.utils.data.DataLoader(cloud(80, 8, seed=1) if data is None else data, batch_size=8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning|pytorch_lightning|torch")
        warnings.filterwarnings(
            "ignore", message=".*(num_workers|log_every_n_steps|litlogger|GPU|mid-epoch).*"
        )
        trainer = pl.Trainer(
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
            callbacks=list(callbacks),
            **{"max_epochs": 1, "enable_checkpointing": False} | options,
        )
        trainer.fit(module, loader, ckpt_path=ckpt_path)
    return module


def hooks(model):
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules())


def test_numbers_and_weights_are_those_of_a_loop_by_hand(tmp_path):
    callback = LightningTangentCallback(**SETTINGS, seed=5, path=tmp_path / "found.json")
    module = fit(tmp_path, callback, accumulate_grad_batches=2, max_epochs=2)
    by_hand = Net()
    optimizer = torch.optim.SGD(by_hand.parameters(), 0.05)
    with TangentEnergy(by_hand, total_steps=10, seed=5, **SETTINGS) as te:
        for number, batch in enumerate(list(cloud(80, 8, seed=1).split(8)) * 2):
            (by_hand.training_step(batch, number) / 2).backward()
            if number % 2:
                optimizer.step()
                optimizer.zero_grad()
    found, truth = callback.result(), te.result()
    assert [step.step for step in found.site("body.0").steps] == [3, 5, 7, 9]
    assert found == truth
    assert TangentResult.model_validate_json((tmp_path / "found.json").read_text()) == truth
    assert callback.frame()["energy"].tolist() == te.frame()["energy"].tolist()
    assert hooks(module) == 0
    for one, other in zip(module.parameters(), by_hand.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_training_that_was_killed_goes_on_to_the_same_numbers(tmp_path):
    # five steps an epoch: within one, Lightning begins its batches anew
    given = {"data": cloud(40, 8, seed=1), "max_epochs": 2}
    saving = pl.callbacks.ModelCheckpoint(
        tmp_path, filename="at-{step}", every_n_epochs=1, save_top_k=-1, save_on_train_epoch_end=True
    )
    whole, killed, again = (LightningTangentCallback(**SETTINGS) for _ in range(3))
    fit(tmp_path, whole, **given)
    with pytest.raises(ValueError, match="killed"):
        fit(tmp_path, killed, Stop(), saving, enable_checkpointing=True, **given)
    assert killed.result().seen == 7
    assert hooks(killed.energy._passing.model) == 0
    fit(tmp_path, again, ckpt_path=tmp_path / "at-step=5.ckpt", **given)
    assert_same(again.result(), whole.result())
    assert again.result().seen == 10


def test_padding_is_left_out(tmp_path):
    mask = torch.tensor([[1, 1, 0]]).repeat(80, 1)
    points = cloud(240, 8, seed=1).reshape(80, 3, 8)
    data = [{"points": one, "attention_mask": real} for one, real in zip(points, mask, strict=True)]
    callback = LightningTangentCallback(**SETTINGS)
    fit(tmp_path, callback, data=data)
    assert callback.result().site("body.0").points == 2 * 8 * 2  # steps 0 and 2 of the fit, two tokens a row


def test_what_is_not_known_is_told(tmp_path):
    callback = LightningTangentCallback(**SETTINGS)
    with pytest.raises(RuntimeError, match="no training has begun"):
        callback.result()
    with pytest.raises(ValueError, match=r"number of its steps; give .*total_steps"):
        fit(tmp_path, callback, max_epochs=-1)
