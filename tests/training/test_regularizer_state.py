"""The state of a regularizer goes with the checkpoint: a run that was stopped ends where it would have."""

import shutil

import pytest
import torch
from torch import nn
from transformers import Trainer, TrainingArguments

from conescope._checkpoints import numpy_states_allowed
from conescope.losses import (
    Balanced,
    IsoScoreLoss,
    KoLeoLoss,
    Layers,
    Remembered,
    Scheduled,
    SlicedGaussianLoss,
)
from conescope.training import regularize
from conescope.training.regularizer_state import load_state, save_state
from tests.samples import models


@pytest.fixture(autouse=True)
def old_trainers_can_read_their_own_checkpoints():
    with numpy_states_allowed():
        yield


def stateful():
    remembered = Remembered(KoLeoLoss(), size=20)
    layers = Layers({-1: remembered, 1: SlicedGaussianLoss(seed=3)})
    return Scheduled(Balanced(layers, share=0.3, momentum=0.5), ("warmup", 5))


def trainer_of(loss, folder, **options):
    arguments = TrainingArguments(
        str(folder),
        per_device_train_batch_size=8,
        max_steps=6,
        learning_rate=0.01,
        logging_steps=1,
        save_steps=3,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=3,
        **options,
    )
    return regularize(Trainer, loss)(
        model=models.bert(0.1), args=arguments, train_dataset=models.token_rows(48)
    )


def weights(trainer):
    return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])


def same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run from start to end, with the checkpoint in its middle."""
    folder, loss = tmp_path_factory.mktemp("whole"), stateful()
    trainer = trainer_of(loss, folder)
    trainer.train()
    return folder / "checkpoint-3", weights(trainer), loss.state_dict()


def test_interrupted_and_resumed_is_the_uninterrupted_run_to_the_last_bit(whole, tmp_path):
    checkpoint, expected, state = whole
    loss = stateful()
    resumed = trainer_of(loss, tmp_path)
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert resumed.state.global_step == 6
    assert torch.equal(weights(resumed), expected)
    same(loss.state_dict(), state)
    assert state["loss.loss.layer_-1.memory"].shape == (20, 16)
    assert state["loss.weight"] != 1e-3


def test_without_the_file_it_warns_and_the_run_is_another(whole, tmp_path):
    checkpoint, expected, _ = whole
    shutil.copytree(checkpoint, tmp_path / "checkpoint-3")
    (tmp_path / "checkpoint-3" / "regularizer.safetensors").unlink()
    resumed = trainer_of(stateful(), tmp_path)
    with pytest.warns(UserWarning, match="regularizer.safetensors is missing, so the regularizer goes on"):
        resumed.train(resume_from_checkpoint=True)
    assert not torch.equal(weights(resumed), expected)


def test_a_loss_without_state_has_no_file_and_no_warning(tmp_path):
    trainer_of(KoLeoLoss(), tmp_path).train()
    assert (tmp_path / "checkpoint-3" / "optimizer.pt").is_file()
    assert not list(tmp_path.glob("*/regularizer*"))
    trainer_of(lambda points, labels: points.square().sum(), tmp_path).train(
        resume_from_checkpoint=str(tmp_path / "checkpoint-3")
    )  # warnings are errors in this test run


def test_each_rank_has_its_own(tmp_path):
    trainer = trainer_of(stateful(), tmp_path)
    assert trainer._state_file("run").as_posix() == "run/regularizer.safetensors"

    class Rank:
        world_size, process_index = 2, 1

    trainer.args = Rank()
    assert trainer._state_file("run").as_posix() == "run/regularizer_1.safetensors"


@pytest.mark.parametrize(
    "make", [stateful, lambda: IsoScoreLoss(momentum=0.5)], ids=["wrappers", "iso-score"]
)
def test_states_come_back_to_the_last_bit(tmp_path, make):
    before, after = make(), make()
    points = torch.randn(30, 6, generator=torch.Generator().manual_seed(0))
    if isinstance(before, IsoScoreLoss):
        before.update(points)
    else:
        before({-1: points, 1: points})
        before({-1: points, 1: points})
        before.observe(torch.tensor(2.0), torch.tensor(0.3))
    save_state(before, tmp_path / "a.safetensors")
    load_state(after, tmp_path / "a.safetensors")
    same(after.state_dict(), before.state_dict())
    with pytest.raises(AssertionError):
        same(make().state_dict(), before.state_dict())


def test_the_state_of_another_loss_is_refused(tmp_path):
    file = tmp_path / "a.safetensors"
    save_state(Balanced(KoLeoLoss()), file)
    with pytest.raises(ValueError, match=r"must hold the state \['memory', .* but holds \['own_norm', "):
        load_state(Remembered(KoLeoLoss()), file)
    save_state(nn.Linear(2, 3), file)
    with pytest.raises(ValueError, match=r"does not fit it; .*size mismatch for weight") as refused:
        load_state(nn.Linear(2, 2), file)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kept", [{1, 2}, {1: 2}, (1, 2), float("nan")], ids=repr)
def test_a_state_that_can_not_be_kept_is_told_when_it_is_saved(tmp_path, kept):
    class Keeping(nn.Module):
        def get_extra_state(self):
            return kept

    with pytest.raises(ValueError, match=r"but _extra_state is .*return other values from get_extra_state"):
        save_state(Keeping(), tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())
