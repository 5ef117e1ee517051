"""Losses that ask the Trainer for more than one point cloud: several layers, and norms of gradients."""

import pytest
import torch
from transformers import Trainer

from conescope.losses import Balanced, Layers, PersistentEntropyLoss, Scheduled
from conescope.training import regularize
from conescope.training.mean_loss import COUNTS_ITEMS
from tests.samples import models
from tests.training.test_regularize import LR, train, weights


def spread(points, labels=None):
    return -(points - points.mean(0)).square().sum(1).mean()


def length(points, labels=None):
    return points.square().sum(1).mean()


def entropy():
    return PersistentEntropyLoss(selection=None)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_one_step_is_gradient_descent_on_the_task_and_every_layer(tmp_path, pooling):
    losses = {-1: entropy(), 1: spread, 0: length, 2: entropy()}
    trainer = train(
        tmp_path, regularize(Trainer, Layers(losses), pooling=pooling), batch=16, steps=1, rows=16
    )
    model = models.bert(dtype=torch.float64)
    rows = models.token_rows(16)
    batch = {name: torch.stack([torch.as_tensor(row[name]) for row in rows]) for name in rows[0]}
    out = model(**batch, output_hidden_states=True)
    parts = {}
    for layer, loss in losses.items():
        states = out.hidden_states[layer]
        parts[layer] = loss(states[:, 0] if pooling == "cls" else states.mean(1), batch["labels"])
    (out.loss + sum(parts.values())).backward()
    expected = torch.cat([(p - LR * p.grad).detach().flatten() for p in model.parameters()])
    torch.testing.assert_close(weights(trainer), expected)
    log = trainer.state.log_history[0]
    for layer, value in parts.items():
        assert log[f"layer_{layer}"] == pytest.approx(value.item(), rel=1e-5)
    assert log["bars"] == 28


def test_gathered_micro_batches_of_several_layers_equal_one_batch(tmp_path):
    def trained(**options):
        loss = Layers({-1: entropy(), 1: spread})
        return train(tmp_path, regularize(Trainer, loss, gather=bool(options)), **options)

    torch.testing.assert_close(
        weights(trained(batch=4, accumulation=8)), weights(trained()), rtol=0, atol=1e-13
    )


def test_layers_named_twice_are_refused():
    loss = Layers({-1: entropy()})
    for options in ({"layer": 2}, {"pooling": "first_last_mean"}):
        with pytest.raises(ValueError, match=r"the loss names its layers, \(-1,\); leave layer at -1"):
            regularize(Trainer, loss, **options)


@pytest.mark.parametrize("several", [False, True])
def test_balanced_reaches_its_share(tmp_path, several):
    inner = Layers({-1: spread, 1: entropy()}) if several else spread
    loss = Balanced(inner, share=0.2, momentum=0.0)
    trainer = train(tmp_path, regularize(Trainer, loss), batch=32, rows=32, steps=20)
    shares = [entry["gradient_share"] for entry in trainer.state.log_history if "gradient_share" in entry]
    assert abs(shares[0] - 0.2) > 0.05
    assert shares[-4:] == pytest.approx([0.2] * 4, rel=0.15)  # the norms move a tenth a step


def test_balanced_is_told_every_so_many_steps(tmp_path):
    loss = Balanced(spread, share=0.01, every=3)
    trainer = train(tmp_path, regularize(Trainer, loss), steps=7)
    found = [entry["balanced_weight"] for entry in trainer.state.log_history if "balanced_weight" in entry]
    assert len(found) == 7
    changes = [step for step in range(1, 7) if found[step] != found[step - 1]]
    assert changes == [1, 4]  # after the steps 0 and 3


def mean_over_items(outputs, labels, num_items_in_batch=None):
    return torch.nn.functional.cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch


@pytest.mark.parametrize("compute_loss_func", [None, mean_over_items])
def test_balanced_under_accumulation_knows_the_norms_of_the_whole_step(tmp_path, compute_loss_func):
    if compute_loss_func is not None and not COUNTS_ITEMS:
        pytest.skip("this Trainer does not count the items for a compute_loss_func")

    def trained(**options):
        loss = Balanced(entropy(), share=0.1)

        class Own(regularize(Trainer, loss, gather=bool(options))):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, compute_loss_func=compute_loss_func, **kwargs)

        train(tmp_path, Own, **options)
        return loss

    whole, parts = trained(), trained(batch=4, accumulation=8)
    assert whole.task_norm > 0
    torch.testing.assert_close(dict(parts.state_dict()), dict(whole.state_dict()), rtol=1e-5, atol=0)


def test_a_schedule_counts_the_steps(tmp_path):
    trainer = train(tmp_path, regularize(Trainer, Scheduled(spread, ("warmup", 4))), steps=4)
    found = [entry["scheduled_weight"] for entry in trainer.state.log_history if "scheduled_weight" in entry]
    assert found == [0, 0.25, 0.5, 0.75]
    assert trainer.state.log_history[0]["regularizer"] == 0
