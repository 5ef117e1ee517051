"""Tangent energy of small trainings by transformers: against a loop by hand, and through checkpoints."""

import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from conescope.dynamics import TangentCallback, TangentEnergy, TrajectoryCallback, fit_proxy
from conescope.dynamics.sites import linear_maps
from conescope.dynamics.stored import load, save
from conescope.dynamics.trajectory_callback import joined
from conescope.losses import KoLeoLoss
from conescope.results import Event, TangentResult, Trajectory
from conescope.scale.moments import moments
from conescope.survey.measure import measure
from conescope.training import regularize
from tests.samples import models

MODULES = ["bert.encoder.layer.0.intermediate.dense", "bert.encoder.layer.2.output.dense"]
SETTINGS = {"modules": MODULES, "every": 2, "draws": 4, "rank": 2}


class Stop(TrainerCallback):
    """Ends a training as a kill would, after a step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def trainer(folder, *callbacks, dropout=0.0, steps=10, accumulation=1, save=False, kind=Trainer):
    arguments = TrainingArguments(
        str(folder),
        per_device_train_batch_size=4,
        gradient_accumulation_steps=accumulation,
        max_steps=steps,
        learning_rate=0.05,
        optim="sgd",  # Adam divides by gradients that are zero but for rounding
        lr_scheduler_type="constant",
        max_grad_norm=0.0,
        save_strategy="steps" if save else "no",
        save_steps=3,
        logging_steps=3,  # as saved: what a Trainer sums up since its last log is lost with it
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=3,
    )
    return kind(
        model=models.bert(dropout),
        args=arguments,
        train_dataset=models.token_rows(40),
        callbacks=list(callbacks),
    )


def flat(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def hooks(model):
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules())


def flattened(value, path=""):
    """Return the leaves of a tree of dictionaries and lists, by their path."""
    if not isinstance(value, dict | list | tuple):
        return {path: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {key: leaf for name, each in items for key, leaf in flattened(each, f"{path}/{name}").items()}


def assert_same(found, truth):
    """Compare two results to the rounding of float64: stored tensors lie otherwise in memory."""
    here, there = flattened(found.model_dump()), flattened(truth.model_dump())
    numbers = [path for path, value in there.items() if isinstance(value, float)]
    assert len(numbers) > 20
    assert [here[path] for path in numbers] == pytest.approx(
        [there[path] for path in numbers], rel=1e-9, abs=1e-12
    )
    for path in numbers:
        del here[path], there[path]
    assert here == there


def plain_batches(count=3):
    rows = models.token_rows(4 * count)
    names = ("input_ids", "attention_mask")
    return [
        {name: torch.stack([row[name] for row in rows[start : start + 4]]) for name in names}
        for start in range(0, 4 * count, 4)
    ]


def test_numbers_are_those_of_a_loop_by_hand(tmp_path):
    callback = TangentCallback(**SETTINGS, seed=5, path=tmp_path / "deep" / "found.json")
    run = trainer(tmp_path, callback)
    seen = []
    handle = run.model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append({name: value.clone() for name, value in kwargs.items()}),
        with_kwargs=True,
    )
    run.train()
    handle.remove()
    assert len(seen) == 10

    model = models.bert()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with TangentEnergy(model, total_steps=10, seed=5, **SETTINGS) as te:
        for step in range(10):
            given = {name: value for name, value in seen[step].items() if name != "num_items_in_batch"}
            model(**given).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    assert torch.allclose(flat(model), flat(run.model), atol=1e-6)
    truth, found = te.result(), callback.result()
    assert found.seen == truth.seen == 10
    assert [step.step for step in found.sites[0].steps] == [3, 5, 7, 9]
    for site, expected in zip(found.sites, truth.sites, strict=True):
        assert site.explained == pytest.approx(expected.explained, rel=1e-4)
        for step, wanted in zip(site.steps, expected.steps, strict=True):
            expected_numbers = wanted.model_dump(exclude_none=True)
            assert step.model_dump(exclude_none=True) == pytest.approx(expected_numbers, rel=2e-3, abs=1e-6)
    assert TangentResult.model_validate_json((tmp_path / "deep" / "found.json").read_text()) == found
    assert callback.frame()["energy"].tolist() == [step.energy for site in found.sites for step in site.steps]


def test_weights_come_out_as_without_it_and_hooks_go(tmp_path):
    watched = trainer(tmp_path, TangentCallback(**SETTINGS), TrajectoryCallback(plain_batches()), dropout=0.1)
    watched.train()
    plain = trainer(tmp_path, dropout=0.1)  # draws its dropout anew
    plain.train()
    assert torch.equal(flat(watched.model), flat(plain.model))
    assert watched.model.training
    assert hooks(watched.model) == hooks(plain.model) == 0


def callbacks():
    return TangentCallback(**SETTINGS), TrajectoryCallback(plain_batches(), ["mean_cosine"], every=2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The callbacks of a training that nothing stopped."""
    made = callbacks()
    trainer(tmp_path_factory.mktemp("whole"), *made, dropout=0.1, save=True).train()
    return made


@pytest.mark.parametrize("stopped", [5, 8], ids=["after the fit", "late"])
def test_a_training_that_was_killed_goes_on_to_the_same_numbers(whole, tmp_path, stopped):
    first = callbacks()
    killed = trainer(tmp_path / "killed", *first, Stop(stopped), dropout=0.1, save=True)
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    assert hooks(killed.model) > 0
    first[0].close()
    assert hooks(killed.model) == 0

    second = callbacks()
    again = trainer(tmp_path / "killed", *second, dropout=0.1, save=True)
    again.train(resume_from_checkpoint=True)
    assert_same(second[0].result(), whole[0].result())
    assert second[1].trajectory() == whole[1].trajectory()
    assert whole[1].trajectory().steps == (0, 2, 4, 6, 8, 10)
    assert len(whole[0].result().sites[0].steps) == 4


@pytest.mark.parametrize("proxy", ["windowed", "concepts"])
def test_other_proxies_go_on_to_the_same_numbers(tmp_path, proxy):
    def callback():
        return TangentCallback(**SETTINGS, proxy=proxy, refit_every=2, reservoir=32)

    alone, killed, again = callback(), callback(), callback()
    trainer(tmp_path / "alone", alone, dropout=0.1, save=True).train()
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "killed", killed, Stop(8), dropout=0.1, save=True).train()
    trainer(tmp_path / "killed", again, dropout=0.1, save=True).train(resume_from_checkpoint=True)
    assert_same(again.result(), alone.result())
    other = trainer(tmp_path / "killed", TangentCallback(**SETTINGS), dropout=0.1, save=True)
    with pytest.raises(ValueError, match=f"measured with proxy = {proxy}, and now pca"):
        other.train(resume_from_checkpoint=True)


def test_accumulated_batches_are_no_steps(tmp_path):
    callback = TangentCallback(**SETTINGS)
    trainer(tmp_path, callback, accumulation=2, steps=4).train()
    assert callback.result().seen == 4
    assert callback.result().sites[0].points == 2 * 4 * 12  # of the first step: two batches of 4 rows


def test_the_share_of_a_regularizer_stands_beside_the_layers(tmp_path):
    callback = TrajectoryCallback(plain_batches(), ["mean_cosine"], every=3)
    run = trainer(tmp_path, callback, steps=6, kind=regularize(Trainer, KoLeoLoss()))
    run.train()
    logged = [row for row in run.state.log_history if "gradient_share" in row]
    scalars = callback.trajectory().scalars
    assert [row["step"] for row in logged] == [3, 6]
    for name in ("loss", "task_loss", "regularizer", "gradient_share", "grad_norm"):
        assert scalars[name] == {row["step"]: row[name] for row in logged}
    assert all(0 < share < 1 for share in scalars["gradient_share"].values())
    assert "learning_rate" not in scalars


def test_layers_are_measured_as_by_hand(tmp_path):
    batches = plain_batches()
    callback = TrajectoryCallback(batches, ["mean_cosine", "anisotropy_1"], every=4)
    run = trainer(tmp_path, callback, steps=5)
    run.train()
    found = callback.trajectory()
    assert (found.steps, found.layers) == ((0, 4, 5), ("0", "1", "2", "3"))
    model = run.model.eval()
    with torch.no_grad():
        states = [model(**batch, output_hidden_states=True).hidden_states for batch in batches]
    for layer in found.layers:
        points = torch.cat([hidden[int(layer)].mean(dim=1) for hidden in states])
        table = measure(points, measures=["mean_cosine", "anisotropy_1", "effective_rank"])
        for value in table.values:
            assert found.value(value.name, layer, 5) == pytest.approx(value.value, rel=1e-4)


def test_trajectories_join_and_events_are_read_off_the_whole():
    def part(steps, ranks):
        return Trajectory(layers=("0",), steps=steps, tables={"effective_rank": (ranks,)})

    # 10 is the highest; 4 < 5 is a collapse, 8 >= 7.5 the recovery; step 2 was seen by both parts
    found = joined(part((0, 1, 2), (10.0, 9.0, 1.0)), part((2, 3), (4.0, 8.0)))
    assert found.steps == (0, 1, 2, 3)
    assert found.tables["effective_rank"] == ((10.0, 9.0, 4.0, 8.0),)
    assert found.events == (
        Event(layer="0", step=2, kind="collapse"),
        Event(layer="0", step=3, kind="recovery"),
    )


def test_scalars_before_a_checkpoint_are_kept():
    def part(steps, **scalars):
        return Trajectory(layers=(), steps=steps, tables={}, scalars=scalars)

    found = joined(part((0,), loss={0: 3.0, 2: 2.0}, share={0: 0.1}), part((4,), loss={2: 1.5, 4: 1.0}))
    assert found.scalars == {"loss": {0: 3.0, 2: 1.5, 4: 1.0}, "share": {0: 0.1}}


def test_what_was_recorded_is_found_in_the_folder_that_is_named(tmp_path):
    first, second = callbacks(), callbacks()
    trainer(tmp_path / "old", *first, save=True, steps=6).train()
    named = str(tmp_path / "old" / "checkpoint-3")
    again = trainer(tmp_path / "new", *second, save=True, steps=6)
    again.args.resume_from_checkpoint = named
    again.train(resume_from_checkpoint=named)
    assert_same(second[0].result(), first[0].result())
    assert second[1].trajectory() == first[1].trajectory()


def test_a_folder_that_was_named_before_is_not_taken_for_the_last(whole, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, *callbacks(), Stop(8), dropout=0.1, save=True).train()
    second = callbacks()
    again = trainer(tmp_path, *second, dropout=0.1, save=True)
    again.args.resume_from_checkpoint = str(tmp_path / "checkpoint-3")
    again.train(resume_from_checkpoint=True)  # the last: of step 6
    assert_same(second[0].result(), whole[0].result())
    assert second[1].trajectory() == whole[1].trajectory()


def test_a_state_beside_other_proxies_is_told(tmp_path):
    model = models.bert()
    widths = {site.name: site.d for site in linear_maps(model, MODULES)}
    others = [
        {name: fit_proxy(moments(torch.randn(99, d)), 2) for name, d in widths.items()} for _ in range(2)
    ]
    save(TangentEnergy(model, total_steps=9, others=others[0], **SETTINGS), tmp_path / "state")
    for wrong in (others[1], None):
        with pytest.raises(ValueError, match="measured beside other proxies"):
            load(TangentEnergy(model, total_steps=9, others=wrong, **SETTINGS), tmp_path / "state")
    load(TangentEnergy(model, total_steps=9, others=others[0], **SETTINGS), tmp_path / "state")


def test_a_checkpoint_without_what_was_measured_is_told(tmp_path):
    trainer(tmp_path, save=True, steps=3).train()
    callback = TangentCallback(**SETTINGS)
    with pytest.raises(ValueError, match=r"goes on from step 3, and .*tangent.safetensors is not there"):
        trainer(tmp_path, callback, save=True).train(resume_from_checkpoint=True)
    with pytest.raises(RuntimeError, match="no training has begun"):
        callback.result()


def test_a_state_of_other_settings_or_no_state_is_told(tmp_path):
    model = models.bert()
    save(TangentEnergy(model, total_steps=9, **SETTINGS), tmp_path / "state")
    with pytest.raises(ValueError, match="measured with every = 2, and now 3 is asked for"):
        load(TangentEnergy(model, total_steps=9, **SETTINGS | {"every": 3}), tmp_path / "state")
    (tmp_path / "state").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no whole safetensors file"):
        load(TangentEnergy(model, total_steps=9, **SETTINGS), tmp_path / "state")
    with pytest.raises(FileNotFoundError, match="no file"):
        load(TangentEnergy(model, total_steps=9, **SETTINGS), tmp_path / "none")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"every": 0}, "every must be at least 1"), ({"pooling": "first_last_mean"}, "pooling must be of one")],
)
def test_settings_of_a_trajectory_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        TrajectoryCallback(plain_batches(), **options)
