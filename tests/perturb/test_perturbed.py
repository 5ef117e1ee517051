"""Noise in the weights: which get it, how much, and that they come back bit for bit."""

import math
import sys

import pytest
import torch
import transformers
from torch import nn

from conescope.perturb import chosen_weights, perturbed
from conescope.perturb.noise import noise_for

SMALL = {
    "vocab_size": 20,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
# A block of BERT has these six matrices and two normalizations.
OF_A_BLOCK = [
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
]
ENCODER = {f"encoder.layer.{block}.{name}.weight" for block in (0, 1) for name in OF_A_BLOCK}


def bert(kind=transformers.BertModel, seed=0, **more):
    torch.manual_seed(seed)
    return kind(transformers.BertConfig(**SMALL, **more)).eval()


def bits(model):
    """Return the bytes of every parameter and buffer."""
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def values(model):
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def changed(before, model):
    return {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}


def test_percent_0_is_the_identity_bit_for_bit():
    model = bert()
    with torch.no_grad():
        model.encoder.layer[0].output.dense.weight[0, 0] = -0.0  # a sum with 0 would be +0
    before = bits(model)
    with perturbed(model, percent=0):
        assert bits(model) == before


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("noise", ["unit", "matched"])
def test_weights_come_back_bit_for_bit(dtype, noise):
    model = bert().to(dtype)
    before = values(model)
    with torch.no_grad():  # no noise undoes what is not a number, a copy does
        model.encoder.layer[1].output.dense.weight[2, 3] = math.nan
    kept = {name: weight.view(torch.uint8).clone() for name, weight in values(model).items()}
    with perturbed(model, 7, 2, noise=noise) as inside:
        assert inside is model
        assert changed(before, model) == ENCODER
        assert all(weight.dtype == dtype for weight in model.parameters())
    assert all(torch.equal(weight.view(torch.uint8), kept[name]) for name, weight in values(model).items())


def test_weights_come_back_after_an_exception():
    model = bert()
    before = bits(model)

    def fail():
        with perturbed(model, 50):
            assert bits(model) != before
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert bits(model) == before


def test_weights_come_back_if_the_noise_itself_fails(monkeypatch):
    model = bert()
    before = bits(model)
    drawn = []

    def failing(name, *given):
        if len(drawn) == 5:
            raise MemoryError
        drawn.append(name)
        return noise_for(name, *given)

    monkeypatch.setattr(sys.modules["conescope.perturb.perturbed"], "noise_for", failing)
    with pytest.raises(MemoryError), perturbed(model, 50):
        pass
    assert len(drawn) == 5
    assert bits(model) == before


def test_what_is_not_perturbed_stays_as_the_block_leaves_it():
    model = bert()
    with perturbed(model, 5), torch.no_grad():
        model.pooler.dense.bias.fill_(3.0)
    assert torch.equal(model.pooler.dense.bias, torch.full((32,), 3.0))


def test_percent_100_leaves_nothing_of_the_original():
    one, other = bert(seed=0), bert(seed=1)
    with torch.no_grad():
        one.encoder.layer[0].output.dense.weight[0, 0] = math.inf  # 0 * inf would be NaN
    with perturbed(one, 100, 4), perturbed(other, 100, 4):
        pairs = zip(one.encoder.named_parameters(), other.encoder.parameters(), strict=True)
        same = {name: torch.equal(weight, twin) for (name, weight), twin in pairs}
    assert {f"encoder.{name}" for name, equal in same.items() if equal} >= ENCODER


def test_the_mix_by_hand():
    model = bert()
    name = "encoder.layer.0.output.dense.weight"
    before, weight = model.get_parameter(name).detach().clone(), model.get_parameter(name)
    with perturbed(model, 100, 9):
        noise = weight.detach().clone()
    with perturbed(model, 30, 9):  # the same draw serves every level
        torch.testing.assert_close(weight.detach(), 0.7 * before + 0.3 * noise)
    with perturbed(model, 30, 9, noise="matched"):
        deviation = ((before - before.mean()) ** 2).mean().sqrt()
        torch.testing.assert_close(weight.detach(), 0.7 * before + 0.3 * deviation * noise)


def test_the_second_moment_is_the_published_example():
    # w of standard deviation 0.02 at a = 3: (0.97 * 0.02)^2 + 0.03^2 = 0.00127636.
    torch.manual_seed(0)
    blocks = nn.Sequential(nn.ModuleList([nn.Linear(1000, 1000, bias=False)]))
    nn.init.normal_(blocks[0][0].weight, std=0.02)
    with perturbed(blocks, 3, 1):
        squares = blocks[0][0].weight.detach().double().square()
    # w'^2 has standard deviation sqrt(2) E w'^2, so the mean of 10^6 of them one of 0.0014 E w'^2.
    assert float(squares.mean()) == pytest.approx(0.00127636, rel=4 * math.sqrt(2) / 1000)


def test_seeds_can_be_repeated_and_differ():
    model = bert()

    def noisy(seed):
        with perturbed(model, 10, seed):
            return torch.cat([weight.detach().flatten() for weight in chosen_weights(model).values()])

    assert torch.equal(noisy(1), noisy(1))
    assert (noisy(1) != noisy(2)).float().mean() > 0.99


def test_noise_of_two_weights_is_not_the_same():
    model = bert()
    with perturbed(model, 100):
        layer = model.encoder.layer[0].attention.self
        both = torch.stack([layer.query.weight.detach().flatten(), layer.key.weight.detach().flatten()])
    assert abs(float(both.corrcoef()[0, 1])) < 5 / math.sqrt(both.shape[1])


def test_noise_does_not_depend_on_which_others_get_some_nor_on_a_head():
    model, headed = bert(), bert(transformers.BertForSequenceClassification)
    name = "encoder.layer.1.intermediate.dense.weight"
    with perturbed(model, 100, 3):
        alone = model.get_parameter(name).detach().clone()
    with perturbed(model, 100, 3, layer_norm=False):
        assert torch.equal(model.get_parameter(name), alone)
    before = values(headed)
    with perturbed(headed, 100, 3):
        assert torch.equal(headed.get_parameter(f"bert.{name}"), alone)
        assert changed(before, headed) == {f"bert.{each}" for each in ENCODER}


def test_normalizations_can_be_left_out():
    assert set(chosen_weights(bert())) == ENCODER
    matrices = {name for name in ENCODER if "LayerNorm" not in name}
    assert set(chosen_weights(bert(), layer_norm=False)) == matrices
    assert set(chosen_weights(bert(), "block weights")) == ENCODER


def test_a_decoder_gets_noise_in_its_blocks():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**SMALL, num_key_value_heads=2)
    model = transformers.LlamaForCausalLM(config)
    maps = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]
    maps += ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
    norms = ["input_layernorm", "post_attention_layernorm"]

    def names(parts):
        return {f"layers.{block}.{part}.weight" for block in (0, 1) for part in parts}

    assert set(chosen_weights(model)) == names([*maps, *norms])
    assert set(chosen_weights(model, layer_norm=False)) == names(maps)


def test_an_encoder_decoder_gets_noise_in_its_encoder_or_in_all_blocks():
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=20, d_model=16, d_kv=4, d_ff=24, num_layers=2, num_heads=2, decoder_start_token_id=0
    )
    model = transformers.T5Model(config)
    of_encoder = set(chosen_weights(model))
    assert of_encoder
    assert all(name.startswith("encoder.") for name in of_encoder)
    of_blocks = set(chosen_weights(model, "block weights"))
    assert {name.split(".")[0] for name in of_blocks} == {"encoder", "decoder"}
    assert of_encoder - of_blocks == {"encoder.final_layer_norm.weight"}  # behind the blocks


def test_a_weight_that_runs_several_times_gets_noise_once():
    torch.manual_seed(0)
    config = transformers.AlbertConfig(**SMALL, embedding_size=16, num_hidden_groups=1)
    model = transformers.AlbertModel(config).eval()
    before = bits(model)
    weight = model.encoder.albert_layer_groups[0].albert_layers[0].ffn.weight
    old = weight.detach().clone()
    name = "encoder.albert_layer_groups.0.albert_layers.0.ffn.weight"
    with perturbed(model, 20, 5):
        expected = 0.8 * old + 0.2 * noise_for(name, old, 5, "unit")
        torch.testing.assert_close(weight.detach(), expected)
    assert bits(model) == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"percent": 100.5}, "from 0 to 100, got 100.5"),
        ({"percent": -1}, "from 0 to 100, got -1"),
        ({"percent": math.nan}, "from 0 to 100, got nan"),
        ({"noise": "pink"}, "noise must be one of unit, matched; got 'pink'"),
        ({"parts": "all"}, "parts must be one of encoder weights, block weights; got 'all'"),
    ],
)
def test_what_can_not_be_is_said(given, said, without_shape_checks):
    model = bert()
    before = bits(model)
    with pytest.raises(ValueError, match=said), perturbed(model, **given):
        pass
    assert bits(model) == before


def test_a_model_without_such_weights_is_named():
    with pytest.raises(ValueError, match="no list of blocks in Linear"):
        chosen_weights(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="no weight to perturb in Sequential"):
        chosen_weights(nn.Sequential(nn.ModuleList([nn.LayerNorm(2)])), layer_norm=False)

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, dtype=torch.int8), requires_grad=False)

    with pytest.raises(ValueError, match=r"0\.0\.weight is torch.int8"):
        chosen_weights(nn.Sequential(nn.ModuleList([Whole()])))
