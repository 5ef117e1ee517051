import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from conescope.dynamics import TangentEnergy, energy, fit_proxy, shuffled_energy, variance_share
from conescope.dynamics.shuffled import shuffled_rows
from conescope.results import TangentResult
from conescope.scale.moments import moments


class Net(nn.Module):
    """A linear map between two others; `again` runs the middle one twice, `light` recomputes it."""

    def __init__(self, again=False, light=None):
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        self.again, self.light = again, light

    def forward(self, points, attention_mask=None):
        hidden = torch.tanh(self.first(points))
        if self.light is None:
            hidden = self.middle(hidden)
        else:
            hidden = checkpoint(self.middle, hidden, use_reentrant=self.light)
        return self.last(self.middle(hidden) if self.again else hidden)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def net(**options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Net(**options)


def batch(step, size=32):
    points = torch.randn(size, 5, 16, generator=seeded(step)) * torch.linspace(3, 0.2, 16)
    return points, torch.randint(3, (size, 5), generator=seeded(1000 + step))


def train(model, steps, *, first=0, micro=1, before=None, after=None, **given):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for step in range(first, first + steps):
        points, labels = batch(step)
        for part in range(micro):
            rows = slice(part * 32 // micro, (part + 1) * 32 // micro)
            if before is not None:
                before(rows)
            output = model(points[rows], **{name: value[rows] for name, value in given.items()})
            (cross_entropy(output.flatten(0, 1), labels[rows].flatten()) / micro).backward()
        if after is not None:
            after(step)
        optimizer.step()
        optimizer.zero_grad()


def watched(model, **options):
    settings = {"modules": ["middle"], "total_steps": 10, "every": 1, "rank": 2, "draws": 5} | options
    return TangentEnergy(model, **settings)


def hooks_of(model):
    return [
        len(found)
        for part in model.modules()
        for found in (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks)
    ]


@pytest.mark.parametrize(
    ("options", "micro"),
    [({}, 1), ({}, 4), ({"again": True}, 2), ({"light": True}, 1), ({"light": False}, 2)],
    ids=["plain", "accumulated", "runs twice", "reentrant checkpoint", "checkpoint"],
)
def test_the_sums_are_the_weight_gradient(options, micro):
    model = net(**options)
    seen = []
    with watched(model) as te:

        def compare(step):
            if step >= 3:
                sums = te.records[0].sums.gradient
                torch.testing.assert_close(sums, model.middle.weight.grad, rtol=1e-4, atol=1e-7)
                expected = energy(model.middle.weight.grad, te.proxies()["middle"].tangent).item()
                seen.append((step, expected))

        train(model, 10, micro=micro, after=compare)
    found = te.result().site("middle")
    assert [step for step, _ in seen] == [step.step for step in found.steps] == list(range(3, 10))
    assert [step.energy for step in found.steps] == pytest.approx([value for _, value in seen], rel=1e-4)


def test_autocast_gradients_are_those_of_the_weight():
    model = net()
    with watched(model) as te:

        def compare(step):
            if step >= 3:
                gradient = model.middle.weight.grad
                assert (te.records[0].sums.gradient - gradient).norm() < 1e-4 * gradient.norm()

        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in range(6):
            points, labels = batch(step)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = cross_entropy(model(points).flatten(0, 1), labels.flatten())
            loss.backward()
            compare(step)
            optimizer.step()
            optimizer.zero_grad()
    assert len(te.result().site("middle").steps) == 3


def test_the_proxy_is_that_of_all_inputs_of_the_fit():
    model = net()
    inputs = []
    handle = model.middle.register_forward_pre_hook(lambda module, args: inputs.append(args[0].detach()))
    with watched(model) as te:
        train(model, 3)
        handle.remove()
        train(model, 2, first=3)
    rows = torch.cat(inputs).flatten(0, 1).double()
    vectors = torch.linalg.svd(rows - rows.mean(dim=0)).Vh
    proxy = te.proxies()["middle"]
    assert proxy.points == len(rows) == 3 * 32 * 5
    for basis, expected in (
        (proxy.tangent, vectors[:2]),
        (proxy.following, vectors[2:4]),
        (proxy.uncentered, torch.linalg.svd(rows).Vh[:2]),
    ):
        torch.testing.assert_close(basis @ basis.T, expected.T @ expected, rtol=1e-3, atol=1e-4)


def test_the_nulls_of_a_step_are_those_of_its_inputs_and_gradients():
    model = net()
    kept = {}

    def keep(module, args, output):
        kept["inputs"] = args[0].detach()
        output.register_hook(lambda gradient: kept.update(gradients=gradient))

    model.middle.register_forward_hook(keep)
    with watched(model, total_steps=4) as te:  # one step of fit, one that is sampled
        train(model, 2)
    inputs, gradients = (kept[name].flatten(0, 1).double() for name in ("inputs", "gradients"))
    proxy = te.proxies()["middle"]
    found = te.result().site("middle").steps[0]
    share = variance_share(inputs, proxy.tangent).item()
    assert found.variance_share == pytest.approx(share, rel=1e-5)
    assert found.excess == pytest.approx(found.energy / share, rel=1e-5)
    order = shuffled_rows(gradients, generator=seeded(hash((hash((0, 1, 0)), 0)) % 2**63))
    assert found.shuffled == pytest.approx(energy(order.T @ inputs, proxy.tangent).item(), rel=1e-4)
    assert found.shuffled == pytest.approx(shuffled_energy(inputs, gradients, proxy.tangent).item(), rel=0.3)
    gradient = gradients.T @ inputs
    assert found.following == pytest.approx(energy(gradient, proxy.following).item(), rel=1e-4)
    assert found.uncentered == pytest.approx(energy(gradient, proxy.uncentered).item(), rel=1e-4)
    assert 0 < found.normal < 2 / 14 * 1.5  # about (1 - energy) 2 / 14


def test_padding_is_in_neither_the_fit_nor_the_null():
    mask = torch.ones(32, 5, dtype=torch.int64)
    mask[:, 3:] = 0
    masked, cut = net(), net()
    inputs = []
    handle = cut.middle.register_forward_pre_hook(lambda module, args: inputs.append(args[0].detach()[:, :3]))
    with watched(masked) as te, watched(cut) as by_hand:
        train(masked, 3, attention_mask=mask)
        train(cut, 3, before=lambda rows: setattr(by_hand, "mask", mask[rows]))
        handle.remove()
    rows = torch.cat(inputs).flatten(0, 1)
    expected = fit_proxy(moments(rows), 2)
    for one in (te, by_hand):
        proxy = one.proxies()["middle"]
        assert proxy.points == 3 * 32 * 3
        assert proxy.explained == pytest.approx(expected.explained, rel=1e-4)


def test_a_mask_of_one_batch_is_not_that_of_the_next():
    model = net()
    mask = torch.ones(32, 5, dtype=torch.int64)
    mask[:, 3:] = 0
    with watched(model, count="manual") as te:
        train(model, 1, after=lambda step: te.step(), attention_mask=mask)
        train(model, 2, after=lambda step: te.step())
    assert te.proxies()["middle"].points == 32 * (3 + 5 + 5)


def test_training_is_the_same_to_the_last_bit():
    alone, looked_at = net(), net()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with watched(looked_at, modules=["first", "middle", "last"]):
        train(looked_at, 8)
    assert torch.equal(torch.get_rng_state(), before)
    train(alone, 8)
    for one, other in zip(alone.parameters(), looked_at.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_hooks_are_gone_whatever_ends_the_training(error):
    model = net()
    before = hooks_of(model)

    def stop(step):
        if step == 5:
            assert sum(hooks_of(model)) > sum(before)
            raise error

    te = watched(model)
    with pytest.raises(error), te:
        train(model, 10, after=stop)
    assert hooks_of(model) == before
    train(model, 3)
    assert te.steps_seen == 5
    assert len(te.result().site("middle").steps) == 2


def test_steps_by_hand_and_every_third():
    model = net()
    with watched(model, count="manual", every=3) as te:
        train(model, 10, after=lambda step: te.step())
    found = te.result()
    assert [step.step for step in found.site("middle").steps] == [3, 6, 9]
    assert found.seen == 10
    assert found.site("middle").points == 32 * 5  # of step 0; steps 1 and 2 of the fit are passed over
    with pytest.raises(RuntimeError, match='count="manual"'):
        watched(model).step()


def test_gradients_of_zero_or_without_a_number_are_skipped_and_counted():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with watched(model) as te:
        for step, factor in enumerate([1, 1, 1, 0.0, float("nan"), 1]):
            (model(batch(step)[0]).square().mean() * factor).backward()
            for weight in model.parameters():
                weight.grad = None
            optimizer.step()
    found = te.result().site("middle")
    assert (found.zero, found.not_finite, [step.step for step in found.steps]) == (1, 1, [5])


def test_proxies_of_another_run_need_no_fit():
    one, other = net(), net()
    with watched(one) as fitted:
        train(one, 4)
    with watched(other, proxies=fitted.proxies()) as te:
        train(other, 3)
    found = te.result()
    assert found.fitted is None
    assert [step.step for step in found.site("middle").steps] == [0, 1, 2]
    assert torch.equal(te.proxies()["middle"].tangent, fitted.proxies()["middle"].tangent)


def test_results_are_values():
    model = net()
    with watched(model) as te:
        train(model, 10)
    found = te.result()
    assert TangentResult.model_validate_json(found.to_json()) == found
    frame = te.frame()
    assert frame["energy"].tolist() == [step.energy for step in found.site("middle").steps]
    assert "middle" in str(found)
    with pytest.raises(KeyError, match="there are middle"):
        found.site("nope")


def test_a_fit_that_was_not_done_is_told():
    model = net()
    with TangentEnergy(model, ["middle"]) as te:
        train(model, 2)
    found = te.result()
    assert "2 of 300 steps; give total_steps" in found.notes[1]
    assert found.site("middle").phase().verdict == "not known"


def test_a_module_that_never_runs_is_told():
    model = net()
    model.spare = nn.Linear(16, 16)
    with watched(model, modules=["spare", "middle"]) as te:
        train(model, 5)
    assert "did not run" in te.result().site("spare").note
    assert len(te.result().site("middle").steps) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 9}, "take k <= 8"),
        ({"modules": ["nope"]}, "'nope' is no linear map of Net; there are first, middle, last"),
        ({"every": 0}, "every >= 1"),
        ({"proxies": {}}, "directions of 16 dimensions for middle"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        watched(net(), **options)


def test_blocks_of_a_transformer_are_found_and_the_width_of_a_conv1d_too():
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=50,
        n_positions=16,
        n_embd=32,
        n_layer=2,
        n_head=2,
        resid_pdrop=0,
        embd_pdrop=0,
        attn_pdrop=0,
    )
    model = GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    compared = 0
    with TangentEnergy(model, total_steps=6, every=1, draws=3) as te:
        for step in range(6):
            tokens = torch.randint(50, (4, 12), generator=seeded(step))
            model(input_ids=tokens, labels=tokens, attention_mask=torch.ones_like(tokens)).loss.backward()
            for record in te.records if step >= 2 else ():
                weight = record.site.module.weight
                torch.testing.assert_close(record.sums.gradient, weight.grad.T, rtol=1e-3, atol=1e-6)
                compared += 1
            optimizer.step()
            optimizer.zero_grad()
    found = te.result()
    assert [site.module for site in found.sites][:4] == [
        "transformer.h.0.attn.c_attn",
        "transformer.h.0.attn.c_proj",
        "transformer.h.0.mlp.c_fc",
        "transformer.h.0.mlp.c_proj",
    ]
    assert compared == 8 * 4  # two blocks, and 6 steps less 2 of the fit
    assert {(site.o, site.d, site.k) for site in found.sites if "c_attn" in site.module} <= {
        (96, 32, k) for k in range(1, 5)
    }
    assert all(len(site.steps) == 4 for site in found.sites)


class Shared(nn.Module):
    """Three maps of one input, as query, key and value are, and one that gets a copy of it."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.other = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)
        self.last = nn.Linear(16, 3)

    def forward(self, points):
        return self.last(torch.tanh(self.query(points)) * self.key(points) + self.other(points.clone()))


def test_maps_of_one_input_share_what_is_fitted_on_it_and_nothing_else_changes():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Shared()
    with TangentEnergy(model, ["query", "key", "other"], rank=2, total_steps=10, every=1, draws=3) as te:
        train(model, 2)
        known = [record.moments for record in te.records]
        train(model, 2, first=2)
    assert known[0] is known[1]
    assert known[0] is not known[2]
    query, key, other = (te.proxies()[name] for name in ("query", "key", "other"))
    assert query is key
    torch.testing.assert_close(query.tangent, other.tangent, rtol=0, atol=0)
    rows = torch.cat([batch(step)[0] for step in range(3)]).flatten(0, 1)
    torch.testing.assert_close(
        query.tangent.abs(), fit_proxy(moments(rows), 2).tangent.abs(), rtol=0, atol=1e-5
    )


def test_an_input_that_was_changed_in_place_is_another():
    class Changed(Shared):
        def forward(self, points):
            points = points.clone()
            first = self.query(points).detach().requires_grad_()
            points.mul_(2)
            return self.last(first + self.key(points))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Changed()
    with TangentEnergy(model, ["query", "key"], rank=2, total_steps=10, every=1, draws=3) as te:
        train(model, 2)
        once, twice = (record.moments for record in te.records)
    torch.testing.assert_close(twice.scatter, 4 * once.scatter)


def test_a_mask_that_changes_within_a_step_is_that_of_its_run():
    model = net()
    points = batch(0)[0]
    few, many = torch.zeros(32, 5), torch.ones(32, 5)
    few[:, 0] = 1
    with watched(model, modules=["first"], count="manual") as te:
        for mask in (few, many):  # the same tensor twice, of which other tokens are real
            te.mask = mask
            model(points).square().mean().backward()
        assert te.records[0].moments.n == 32 * (1 + 5)


def test_proxies_that_are_given_are_neither_fitted_again_nor_bent():
    model = net()
    with watched(model) as te:
        train(model, 4)
    given = te.proxies()
    with pytest.raises(ValueError, match="leave out proxy='windowed'"):
        watched(model, proxies=given, proxy="windowed")
    bent = {name: proxy._replace(tangent=2 * proxy.tangent) for name, proxy in given.items()}
    with pytest.raises(ValueError, match="must be orthonormal"):
        watched(model, proxies=bent)


def test_the_proxy_of_another_run_stands_beside_the_own():
    first, kept = net(), {}
    with watched(first) as te:
        train(first, 4)
    other = te.proxies()["middle"]
    model = net()
    model.first.weight.data.mul_(0.5)  # so that its own proxy is another

    def keep(step):
        kept[step] = model.middle.weight.grad.double()

    with watched(model, others=te.proxies()) as again:
        train(model, 6, first=20, after=keep)
    site = again.result().site("middle")
    for number, step in enumerate(site.steps, start=23):
        assert step.other == pytest.approx(energy(kept[number], other.tangent).item(), rel=1e-4)
        assert step.other != step.energy
    assert site.phase().other.value == pytest.approx(sum(step.other for step in site.steps) / len(site.steps))
    with watched(net()) as alone:
        train(net(), 1)
    assert all(step.other is None for record in alone.records for step in record.steps)
    with pytest.raises(ValueError, match="shape"):
        watched(net(), others={"middle": other._replace(tangent=other.tangent[:8])})


def test_modules_without_a_proxy_of_another_run_are_told():
    first = net()
    with watched(first) as te:
        train(first, 4)
    proxy = te.proxies()["middle"]
    assert not any(note.startswith("others") for note in watched(net()).result().notes)
    assert not any(note.startswith("others") for note in watched(net(), others=te.proxies()).result().notes)
    notes = watched(net(), others={"elsewhere": proxy}).result().notes
    assert "others: the other run has no proxy for 1 of 1 modules" in notes


def test_another_proxy_that_is_smaller_or_larger_is_taken_as_far_as_both_go():
    first, model = net(), net()
    with watched(first, rank=4) as te:
        train(first, 4)
    kept = []
    with watched(model, others=te.proxies()) as again:
        train(model, 4, first=20, after=lambda step: kept.append(model.middle.weight.grad.double()))
    wide = te.proxies()["middle"].tangent
    found = again.result().site("middle").steps[0].other
    assert found == pytest.approx(energy(kept[3], wide[:, :2]).item(), rel=1e-4)
