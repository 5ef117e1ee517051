"""The callback in small trainings of Lightning."""

import warnings

import pytest
import torch
from torch import nn

import conescope
from tests.survey.clouds import cloud

pl = pytest.importorskip("lightning.pytorch")
from conescope.training import LightningGeometryCallback  # noqa: E402

HELD_OUT = list(cloud(60, 6).split(20))


class Encoder(pl.LightningModule):
    def __init__(self, lr=0.05):
        super().__init__()
        self.lr = lr
        self.body = nn.Sequential(nn.Linear(6, 5), nn.Dropout(0.3), nn.Linear(5, 5))
        self.seen = []

    def forward(self, batch):
        return self.body(batch)

    def training_step(self, batch, batch_idx):
        return self(batch).square().mean()

    def on_before_zero_grad(self, optimizer):
        self.seen.append({name: float(value) for name, value in self.trainer.callback_metrics.items()})

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.lr)


def fit(folder, *callbacks, lr=0.05, **options):
    torch.manual_seed(0)
    module = Encoder(lr)
    loader = torch.utils.data.DataLoader(cloud(64, 6, seed=1), batch_size=8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning|pytorch_lightning|torch")
        warnings.filterwarnings("ignore", message=".*(num_workers|log_every_n_steps|litlogger|GPU).*")
        trainer = pl.Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
            callbacks=list(callbacks),
            **options,
        )
        trainer.fit(module, loader)
    return trainer, module


def test_the_logged_values_are_those_of_the_embeddings(tmp_path):
    trainer, module = fit(tmp_path, LightningGeometryCallback(HELD_OUT, every=8))
    with torch.no_grad():
        points = module.eval()(torch.cat(HELD_OUT))
    truth = conescope.measure(points, measures=["mean_cosine", "isoscore"])
    for name in ("mean_cosine", "isoscore"):
        assert float(trainer.callback_metrics[f"geometry/{name}"]) == pytest.approx(
            truth.value(name), rel=1e-4
        )
    assert float(trainer.callback_metrics["geometry/collapsed"]) == 0


def test_the_weights_come_out_as_without_it_and_accumulating_batches_are_no_steps(tmp_path):
    calls = []

    def embed(module, batch):
        assert not module.body.training
        calls.append(len(batch))
        return module(batch) + torch.rand(()) * 0  # draws a random number

    callback = LightningGeometryCallback(HELD_OUT, embed, every=1)
    _, watched = fit(tmp_path, callback, accumulate_grad_batches=2)
    _, plain = fit(tmp_path, accumulate_grad_batches=2)
    assert calls == [20] * 3 * 4  # three batches after each of 8 / 2 steps
    assert watched.body.training
    for one, other in zip(watched.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


def test_stop_and_checkpoint_act_on_a_collapse(tmp_path):
    def constant(module, batch):
        return torch.ones(len(batch), 3)

    with pytest.warns(RuntimeWarning, match="step 2: collapsed: all points coincide"):
        trainer, _ = fit(tmp_path, LightningGeometryCallback(HELD_OUT, constant, every=2, on_collapse="stop"))
    assert trainer.global_step == 2
    with pytest.warns(RuntimeWarning, match="step 2: collapsed"):
        trainer, _ = fit(
            tmp_path, LightningGeometryCallback(HELD_OUT, constant, every=2, on_collapse="checkpoint")
        )
    assert trainer.global_step == 8
    assert [path.name for path in tmp_path.glob("*.ckpt")] == ["collapsed-step=2.ckpt"]


def test_a_second_training_counts_anew(tmp_path):
    calls = []

    def embed(module, batch):
        calls.append(module.trainer.global_step)
        return module(batch)

    callback = LightningGeometryCallback(HELD_OUT[:1], embed, every=3)
    fit(tmp_path, callback)
    fit(tmp_path, callback)
    assert calls == [3, 6, 3, 6]


def test_settings_are_checked(tmp_path, without_shape_checks):
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        LightningGeometryCallback(HELD_OUT, every=0)
    with pytest.raises(TypeError, match="an iterator ends; give a list"):
        LightningGeometryCallback(iter(HELD_OUT))
    with pytest.raises(ValueError, match="at least one batch"):
        fit(tmp_path, LightningGeometryCallback([], every=1))
