"""The common-bias experiment: blocks whose effect is known by hand, and the closed form against all pairs."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from conescope._intervals import student_interval
from conescope.capture.opening import open_model
from conescope.profile import bias_drift
from conescope.profile.bias_drift import change
from conescope.profile.pair_cosines import pair_cosines, unit_sums
from conescope.results import BiasDrift
from tests.capture.test_parts import BUILT, TEXT

D, T = 768, 8


class Same(nn.Module):
    def forward(self, hidden_states):
        return hidden_states


class Centered(nn.Module):
    """Subtracts the mean over the tokens of its sequence."""

    def forward(self, hidden_states):
        return hidden_states - hidden_states.mean(dim=1, keepdim=True)


class Along(nn.Module):
    """Adds a constant vector, long beside the noise."""

    def __init__(self, d, length):
        super().__init__()
        self.shift = nn.Parameter(torch.full((d,), length / math.sqrt(d)))

    def forward(self, hidden_states):
        return (hidden_states + self.shift,)


class Averaging(nn.Module):
    """Attention that is uniform over all tokens, by hand, and a feed-forward part that turns all around."""

    class Uniform(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.o_proj = nn.Linear(d, d, bias=False)
            nn.init.eye_(self.o_proj.weight)

        def forward(self, hidden_states):
            return self.o_proj(hidden_states.mean(dim=1, keepdim=True).expand_as(hidden_states)), None

    class Turn(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.down_proj = nn.Linear(d, d, bias=False)
            nn.init.orthogonal_(self.down_proj.weight)

        def forward(self, states):
            return self.down_proj(states)

    def __init__(self, d):
        super().__init__()
        self.attention = self.Uniform(d)
        self.mlp = self.Turn(d)

    def forward(self, hidden_states):
        hidden_states = hidden_states + self.attention(hidden_states)[0]
        return hidden_states + self.mlp(hidden_states)


class Model(nn.Module):
    def __init__(self, *blocks):
        super().__init__()
        self.layers = nn.ModuleList(blocks)

    def forward(self, states):
        for block in self.layers:
            found = block(states)
            states = found[0] if isinstance(found, tuple) else found
        return states


def drift(*blocks, d=D, tokens=T, **options):
    return bias_drift(Model(*blocks), example={"": torch.zeros(1, tokens, d)}, **options)


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 2**31),
    st.sampled_from([1e-30, 1, 1e30]),
)
def test_closed_form_is_the_mean_over_all_pairs(sequences, tokens, d, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(sequences, tokens, d, generator=generator)
    flat = points.double().flatten(0, 1)
    cosines = nn.functional.cosine_similarity(flat[:, None], flat[None], dim=2)
    owner = torch.arange(len(flat)) // tokens
    same = owner[:, None] == owner[None]
    found = pair_cosines(unit_sums(points * scale), tokens)
    for value, pairs in (
        (found.across, ~same),
        (found.within, same & ~torch.eye(len(flat), dtype=torch.bool)),
    ):
        truth = cosines[pairs].mean().item()  # NaN of no pairs
        assert value == pytest.approx(truth, abs=2e-6, nan_ok=True)


def test_a_zero_vector_has_no_cosine():
    points = torch.ones(2, 2, 3)
    assert pair_cosines(unit_sums(points), 2) == pytest.approx((1, 1))
    points[1, 1] = 0
    assert all(map(math.isnan, pair_cosines(unit_sums(points), 2)))


def test_worked_numbers_and_a_block_that_does_nothing():
    # METHODS: d = 768, |b|^2 = 768 gives 0.5, and 76.8 gives 0.0909.
    found = drift(Same(), lengths=(1, math.sqrt(0.1)))
    (block,) = found.blocks
    assert (block.d, block.tokens, block.depth, block.module) == (D, T, 1, "layers.0")
    assert [point.theory for point in block.part("block").points] == pytest.approx([0.5, 0.0909], abs=1e-4)
    assert block.fed == pytest.approx((0.5, 0.0909), abs=0.01)
    for point in block.part("block").points:
        for one in (point.across, point.within):
            assert one.after == one.before == pytest.approx(point.theory, abs=0.01)
            assert (one.change, one.change_low, one.change_high, one.effect) == (0, 0, 0, "leaves")
    assert found.notes == ("no attention found in layers.0", "no mlp found in layers.0")
    assert found.verdict() == (
        "The whole block, tokens of different sequences: leaves it as it is in 1 of 1 blocks "
        "(|b|^2/d = 0.1, 1).",
    )


def test_uniform_attention_shrinks_the_noise_by_the_number_of_tokens():
    found = drift(Averaging(D), Averaging(D), lengths=(0, 0.1, 1))
    for block in found.blocks:
        for point in block.part("attention").points:
            share = point.share
            assert point.across.before == pytest.approx(point.theory, abs=0.01)
            assert point.across.after == pytest.approx(share / (share + 1 / T), abs=0.02)
            assert point.within.after == pytest.approx(1, abs=1e-6)
            assert point.within.effect == "amplifies"
            # With |b| = 0 there is nothing to amplify but noise.
            assert point.across.effect == ("amplifies" if share else "leaves")
        # An orthogonal map keeps the cosines of what it is given: z + b + mean z + b, not z + b.
        for point in block.part("mlp").points:
            assert point.across.after == pytest.approx(point.across.before, abs=1e-6)
            truth = 4 * point.share / (4 * point.share + 1 + 3 / T)
            assert point.across.before == pytest.approx(truth, abs=0.02)
            assert point.across.effect == "leaves"
        assert block.part("attention").module == f"{block.module}.attention"
    assert "amplifies in 2 of 2 blocks (|b|^2/d = 0.01, 1)" in found.verdict()[1]


def test_a_block_that_takes_the_mean_away_or_adds_one():
    found = drift(Centered(), Along(D, math.sqrt(D)), lengths=(0, 1), blocks=["layers"])
    away, along = (block.part("block").points for block in found.blocks)
    # Less its mean over T tokens, noise has cosine -1 / (T - 1) within a sequence, and 0 across.
    for point in away:
        assert point.across.after == pytest.approx(0, abs=0.002)
        assert point.within.after == pytest.approx(-1 / (T - 1), abs=0.002)
    assert (away[1].across.effect, away[1].within.effect) == ("reduces", "reduces")
    # A vector as long as the noise: 1/2, and with b, about orthogonal to it, 2/3.
    assert along[0].across.after == pytest.approx(1 / 2, abs=0.01)
    assert along[1].across.after == pytest.approx(2 / 3, abs=0.03)
    assert along[0].across.effect == "amplifies"


def test_zero_output_has_no_cosine_and_no_effect():
    class Nothing(nn.Module):
        def forward(self, hidden_states):
            return hidden_states * 0

    found = drift(Nothing(), d=8, lengths=(1,), sequences=4)
    (point,) = found.blocks[0].part("block").points
    assert (point.across.after, point.across.change, point.across.effect) == (None, None, "unknown")
    assert point.across.before == pytest.approx(0.5, abs=0.3)
    assert "-" in str(found)


def test_effect_and_interval_are_students():
    before, after = [0.1, 0.2, 0.3], [0.3, 0.5, 0.4]
    found = change(before, after)
    assert (found.change_low, found.change_high) == pytest.approx(student_interval([0.2, 0.3, 0.1]))
    assert (found.low, found.high) == student_interval(after)
    assert found.effect == "leaves"  # 0.2 +- 2.48 * 0.1 holds zero
    assert change(before, [0.3, 0.41, 0.5]).effect == "amplifies"
    assert change([0.3, 0.41, 0.5], before).effect == "reduces"
    assert change(before, [value + 1e-7 for value in before]).effect == "leaves"  # rounding
    assert change([0.1], [0.5]).effect == "unknown"


def test_seeds_decide_and_batches_do_not(monkeypatch):
    torch.manual_seed(0)
    blocks = [nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)]
    options = {"d": 16, "lengths": (0, 1), "sequences": 6}
    once = drift(*blocks, **options)
    torch.randn(3)  # the global generator plays no role
    assert drift(*blocks, **options) == once
    assert drift(*blocks, **options, seeds=(0, 1, 3)) != once
    assert BiasDrift.model_validate_json(once.to_json()) == once
    assert {part.part for part in once.blocks[0].parts} == {"block", "mlp", "attention"}
    monkeypatch.setattr("conescope.profile.bias_experiment.POSITIONS_AT_ONCE", 2 * T)
    parted = drift(*blocks, **options)
    # Other draws, but of the same distribution.
    assert parted.blocks[0].fed[1] == pytest.approx(once.blocks[0].fed[1], abs=0.1)


def test_the_model_is_left_as_it_was():
    class Failing(Same):
        def forward(self, hidden_states):
            if len(hidden_states) > 1:
                raise RuntimeError("stop")
            return hidden_states

    for block in (Averaging(8), Failing()):
        model = Model(block).train()
        block.eval()
        modes = [module.training for module in model.modules()]
        example = {"": torch.zeros(1, 3, 8)}
        if isinstance(block, Failing):
            with pytest.raises(RuntimeError, match="stop"):
                bias_drift(model, example=example)
        else:
            bias_drift(model, example=example, sequences=2)
        assert [module.training for module in model.modules()] == modes
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
        assert modes[0] is True


NAMES = ("bert", "gpt2", "llama", "t5", "vit", "whisper")


@pytest.mark.parametrize("name", NAMES)
def test_models_of_transformers(name):
    torch.manual_seed(0)
    model = BUILT[name]()
    seen = []
    found = bias_drift(
        model, lengths=(0, 1), sequences=4, tokens=6, advance=lambda done, total: seen.append((done, total))
    )
    assert seen == [(done, 6) for done in range(1, 7)]
    tokens = {"vit": [10] * 2, "whisper": [20] * 2 + [6] * 2}.get(name, [6] * 2)
    assert [block.tokens for block in found.blocks] == tokens
    for block in found.blocks:
        assert block.d == 32
        assert [part.part for part in block.parts] == ["block", "attention", "mlp"]
        assert block.fed == pytest.approx((0, 0.5), abs=0.2)
        for point in block.part("attention").points:
            # Fresh attention is nearly uniform, so that it averages tokens.
            assert point.within.after > point.within.before + 0.2
            assert point.within.effect == "amplifies"
    assert found.notes == ()
    if name == "whisper":
        assert {block.stack for block in found.blocks} == {"encoder", "decoder"}
        assert found.block(2, "decoder").name == "decoder block 2"
        with pytest.raises(KeyError, match="encoder block 1, encoder block 2, decoder block 1"):
            found.block(2)


def test_every_block_is_fed_anew():
    # Were block 2 given what block 1 returns, its input would be all alike.
    found = drift(Along(16, 1e4), Same(), d=16, lengths=(0,), sequences=16, blocks=["layers"])
    assert found.blocks[0].part("block").points[0].across.after > 0.999
    assert abs(found.blocks[1].fed[0]) < 0.05


def test_untrained_draws_weights_for_each_seed(tmp_path):
    torch.manual_seed(0)
    model = BUILT["bert"]()
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
    model.save_pretrained(tmp_path)
    options = {"lengths": (1,), "sequences": 4, "tokens": 4}
    found = bias_drift(str(tmp_path), untrained=True, **options)
    assert found.untrained
    assert found.blocks[0].part("attention").points[0].across.after is not None
    # Zero weights return zero vectors, which have no cosine.
    assert bias_drift(model, **options).blocks[0].part("attention").points[0].across.after is None
    ones = [open_model(str(tmp_path), untrained=True, seed=seed).model for seed in (0, 1)]
    alone = [bias_drift(one, seeds=(seed,), **options) for seed, one in enumerate(ones)]
    both = bias_drift(str(tmp_path), untrained=True, seeds=(0, 1), **options)
    values = [one.blocks[1].part("mlp").points[0].across.after for one in alone]
    assert both.blocks[1].part("mlp").points[0].across.after == pytest.approx(sum(values) / 2, abs=1e-6)
    assert TEXT["hidden_size"] == both.blocks[1].d


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lengths": (-1,)}, "norms of the bias"),
        ({"lengths": ()}, "norms of the bias"),
        ({"lengths": (math.nan,)}, "norms of the bias"),
        ({"sequences": 1}, "two sequences or more, got 1"),
        ({"seeds": (1, 1)}, "all different"),
        ({"seeds": ()}, "one or more"),
        ({"blocks": ["layer.9"]}, "layers.0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        drift(Same(), **options)


def test_blocks_without_hidden_states():
    model = nn.Sequential()
    model.layers = nn.ModuleList([nn.Linear(2, 2)])
    model.forward = lambda states: states
    with pytest.raises(ValueError, match="ran on this example"):
        bias_drift(model, example={"": torch.zeros(1, 2, 2)})
    with pytest.raises(ValueError, match=r"shape \(1, 2\), not hidden states"):
        bias_drift(Model(nn.Linear(2, 2)), example={"": torch.zeros(1, 2)})
    with pytest.raises(ValueError, match="one token or more"):
        bias_drift(Model(Same()), tokens=0)
    with pytest.raises(ValueError, match="pass example="):
        bias_drift(Model(Same()))
    with pytest.raises(KeyError, match="it has block"):
        drift(Same(), d=4, sequences=2, lengths=(0,)).blocks[0].part("mlp")
