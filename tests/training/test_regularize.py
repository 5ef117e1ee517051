import pytest
import torch
from transformers import Trainer, TrainingArguments

from conescope.losses import PersistentEntropyLoss, SlicedGaussianLoss, TopologicalLoss
from conescope.training import regularize
from conescope.training.mean_loss import COUNTS_ITEMS, MeanLossTrainer
from tests.samples import models

LR = 0.1


def train(folder, trainer_class, *, batch=32, accumulation=1, steps=2, dropout=0.0, rows=64, **options):
    """Train a small BERT in float64 with plain SGD and return its trainer."""
    arguments = TrainingArguments(
        str(folder),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        max_steps=steps,
        learning_rate=LR,
        optim="sgd",
        lr_scheduler_type="constant",
        max_grad_norm=0,
        logging_steps=1,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=3,
        **options,
    )
    model = models.bert(dropout, dtype=torch.float64)
    trainer = trainer_class(model=model, args=arguments, train_dataset=models.token_rows(rows))
    trainer.train()
    return trainer


def weights(trainer):
    return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])


def regularized(base=Trainer, weight=1.0, **options):
    return regularize(base, PersistentEntropyLoss(weight, selection=None), **options)


@pytest.mark.parametrize("pooling", ["cls", "mean", "last_token", "first_last_mean"])
def test_one_step_is_gradient_descent_on_task_plus_regularizer(tmp_path, pooling):
    trainer = train(tmp_path, regularized(pooling=pooling), batch=16, steps=1, rows=16)

    model = models.bert(dtype=torch.float64)
    rows = models.token_rows(16)
    batch = {name: torch.stack([torch.as_tensor(row[name]) for row in rows]) for name in rows[0]}
    out = model(**batch, output_hidden_states=True)
    last, first = out.hidden_states[-1], out.hidden_states[1]
    points = {
        "cls": last[:, 0],
        "mean": last.mean(1),
        "last_token": last[:, -1],
        "first_last_mean": (last.mean(1) + first.mean(1)) / 2,
    }[pooling]
    regularizer = PersistentEntropyLoss(selection=None)(points, batch["labels"])
    (out.loss + regularizer).backward()
    expected = torch.cat([(p - LR * p.grad).detach().flatten() for p in model.parameters()])
    torch.testing.assert_close(weights(trainer), expected)

    log = trainer.state.log_history[0]
    assert log["task_loss"] == pytest.approx(out.loss.item(), rel=1e-5)
    assert log["regularizer"] == pytest.approx(regularizer.item(), rel=1e-5)
    assert log["loss"] == pytest.approx((out.loss + regularizer).item(), rel=1e-5)
    assert (log["bars"], log["bars_kept"], log["classes_skipped"]) == (14, 14, 0)


def test_gradient_share_is_the_ratio_of_norms_at_the_hidden_states(tmp_path):
    trainer = train(tmp_path, regularized(), batch=16, steps=1, rows=16)
    model = models.bert(dtype=torch.float64)
    rows = models.token_rows(16)
    batch = {name: torch.stack([torch.as_tensor(row[name]) for row in rows]) for name in rows[0]}
    out = model(**batch, output_hidden_states=True)
    last = out.hidden_states[-1]
    regularizer = PersistentEntropyLoss(selection=None)(last[:, 0], batch["labels"])
    task, pull = (
        torch.autograd.grad(term, last, retain_graph=True)[0].norm() for term in (out.loss, regularizer)
    )
    assert trainer.state.log_history[0]["gradient_share"] == pytest.approx(
        (pull / (task + pull)).item(), rel=1e-5
    )


def test_gathered_micro_batches_equal_one_batch(tmp_path):
    whole = train(tmp_path, regularized())
    parts = train(tmp_path, regularized(gather=True), batch=4, accumulation=8)
    torch.testing.assert_close(weights(parts), weights(whole), rtol=0, atol=1e-13)
    for name in ("task_loss", "regularizer", "loss", "bars"):
        values = (trainer.state.log_history[0][name] for trainer in (parts, whole))
        assert next(values) == pytest.approx(next(values), rel=1e-5)


def test_without_gather_the_regularizer_is_the_mean_over_micro_batches(tmp_path):
    trainer = train(tmp_path, regularized(), batch=16, accumulation=2, steps=1, rows=32)
    model = models.bert(dtype=torch.float64)
    loss = PersistentEntropyLoss(selection=None)
    for rows in trainer.window:  # as the sampler drew them
        out = model(**rows, output_hidden_states=True)
        ((out.loss + loss(out.hidden_states[-1][:, 0], rows["labels"])) / 2).backward()
    expected = torch.cat([(p - LR * p.grad).detach().flatten() for p in model.parameters()])
    torch.testing.assert_close(weights(trainer), expected)


def test_gather_replays_the_dropout(tmp_path):
    once = train(tmp_path, regularized(), dropout=0.3)
    twice = train(tmp_path, regularized(gather=True), dropout=0.3)
    torch.testing.assert_close(weights(twice), weights(once), rtol=0, atol=1e-13)


def test_gather_replays_the_dropout_beside_a_loss_that_draws(tmp_path):
    drawn = []

    class Drawing(SlicedGaussianLoss):
        def forward(self, points, labels=None):
            state = torch.get_rng_state()
            drawn.append(torch.randn(3))
            torch.set_rng_state(state)
            return super().forward(points, labels)

    class Noting(regularize(Trainer, Drawing(weight=0.01, slices=4), gather=True)):
        def _pooled(self, hidden, mask):
            found = super()._pooled(hidden, mask)
            seen.append(found[0].detach().clone())
            return found

    for dropout in (0.3, 0.0):
        seen = []
        train(tmp_path, Noting, batch=8, accumulation=2, dropout=dropout)
        assert len(seen) == 8  # of each step: two micro-batches without gradient, and again with it
        for step in (seen[:4], seen[4:]):
            torch.testing.assert_close(step[2:], step[:2], rtol=0, atol=1e-13)
        assert not torch.equal(drawn[-1], drawn[-2])  # each step draws anew, also without any dropout


def test_a_loss_with_parameters_that_no_optimizer_has_is_refused():
    loss = TopologicalLoss(reference=torch.zeros_like, scale="learned")
    with pytest.raises(ValueError, match="would leave log_scale of the loss as it is"):
        regularize(Trainer, loss)
    assert issubclass(regularize(Trainer, loss.requires_grad_(False)), Trainer)


def test_gather_sees_classes_that_no_micro_batch_could(tmp_path):
    alone = train(tmp_path, regularized(), batch=4, accumulation=4, steps=1)
    together = train(tmp_path, regularized(gather=True), batch=4, accumulation=4, steps=1)
    assert alone.state.log_history[0]["bars"] == 0  # at most four points a class
    assert together.state.log_history[0]["bars"] == 14  # 16 points of two classes


@pytest.mark.parametrize("trainer_class", [MeanLossTrainer, regularized(weight=0.0)])
def test_accumulation_does_not_change_the_task(tmp_path, trainer_class):
    whole = train(tmp_path, trainer_class)
    parts = train(tmp_path, trainer_class, batch=4, accumulation=8)
    torch.testing.assert_close(weights(parts), weights(whole), rtol=0, atol=1e-13)


def test_weight_zero_is_plain_training(tmp_path):
    plain, zero = (
        train(tmp_path, MeanLossTrainer, dropout=0.2),
        train(tmp_path, regularized(weight=0.0), dropout=0.2),
    )
    torch.testing.assert_close(weights(zero), weights(plain), rtol=0, atol=1e-15)


def test_evaluation_has_no_regularizer(tmp_path):
    trainer = train(tmp_path, regularized(), steps=1)
    found = trainer.evaluate(models.token_rows(8))["eval_loss"]
    rows = models.token_rows(8)
    batch = {name: torch.stack([torch.as_tensor(row[name]) for row in rows]) for name in rows[0]}
    assert found == pytest.approx(trainer.model(**batch).loss.item(), rel=1e-5)


def test_a_function_serves_as_regularizer_at_a_middle_layer(tmp_path):
    trainer = train(
        tmp_path, regularize(Trainer, lambda points, labels: points.square().sum(), layer=1), steps=1
    )
    assert trainer.state.log_history[0]["regularizer"] > 0
    moved = weights(trainer) - torch.cat(
        [p.detach().flatten() for p in models.bert(dtype=torch.float64).parameters()]
    )
    assert moved.abs().max() > 0


@pytest.mark.skipif(not COUNTS_ITEMS, reason="this Trainer does not count the items for a compute_loss_func")
def test_a_user_loss_that_scales_itself_is_left_to_it(tmp_path):
    def summed(outputs, labels, num_items_in_batch=None):
        return torch.nn.functional.cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch

    class Scaled(regularized(gather=True)):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, compute_loss_func=summed, **kwargs)

    whole, parts = train(tmp_path, Scaled), train(tmp_path, Scaled, batch=4, accumulation=8)
    torch.testing.assert_close(weights(parts), weights(whole), rtol=0, atol=1e-13)


def test_a_model_made_anew_by_model_init_is_hooked_too(tmp_path):
    class FromInit(regularized()):
        def __init__(self, model, **kwargs):
            super().__init__(model_init=lambda: models.bert(dtype=torch.float64), **kwargs)

    all_rows = {"batch": 64, "steps": 1}  # making the model sets the seed, and so the order of the data
    made, given = train(tmp_path, FromInit, **all_rows), train(tmp_path, regularized(), **all_rows)
    torch.testing.assert_close(weights(made), weights(given))


def test_hooks_are_gone_after_training(tmp_path):
    trainer = train(tmp_path, regularized(layer=1), steps=1)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in trainer.model.modules())


def test_checkpointing_that_cuts_the_gradient_is_refused(tmp_path):
    frozen = regularized(layer=1)

    class Cut(frozen):
        def compute_loss(self, model, inputs, *args, **kwargs):
            with torch.no_grad():
                return super().compute_loss(model, inputs, *args, **kwargs)

    with pytest.raises(RuntimeError, match="carry no gradient"):
        train(tmp_path, Cut, steps=1)
