"""Queries, keys and weights as attention itself computes them, for every way to lay projections out."""

import pytest
import torch
import transformers
from torch import nn

from conescope.capture.heads import HeadTaps, attentions, columns, weights_returned

SMALL = {
    "vocab_size": 20,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
IDS = torch.arange(2, 14).reshape(2, 6)


def built(kind, **config):
    torch.manual_seed(0)
    known = dict.fromkeys(("bos_token_id", "eos_token_id"))
    model = getattr(transformers, f"{kind}Model")
    return model(model.config_class(**config, **known)).eval()


def shown(model, *, collected=False, level=False, **arguments):
    heads = []
    with (
        torch.no_grad(),
        weights_returned(model, collected=collected),
        HeadTaps(attentions(model), heads.append, level=level),
    ):
        output = model(**arguments)
    return heads, output


def test_the_columns_of_stacked_and_grouped_projections_are_those_written_down_by_hand():
    queries, keys = columns("stacked", 12, 12, 2, 2)
    assert queries.tolist() == [[0, 1], [2, 3]]
    assert keys.tolist() == [[4, 5], [6, 7]]
    queries, keys = columns("grouped", 12, 12, 2, 2)
    assert queries.tolist() == [[0, 1], [6, 7]]
    assert keys.tolist() == [[2, 3], [8, 9]]
    queries, keys = columns("grouped", 16, 16, 4, 2)  # two queries for each of two keys
    assert queries.tolist() == [[0, 1], [2, 3], [8, 9], [10, 11]]
    assert keys.tolist() == [[4, 5], [12, 13]]
    queries, keys = columns("apart", 8, 4, 4, 2)
    assert queries.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert keys.tolist() == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match="projections of 13 and 13 numbers do not divide into 2 heads"):
        columns("stacked", 13, 13, 2, 2)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("Bert", SMALL),
        ("DistilBert", {"vocab_size": 20, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}),
        ("GPT2", {"vocab_size": 20, "n_embd": 32, "n_layer": 2, "n_head": 4}),
    ],
)
def test_weights_are_the_softmax_of_the_products_of_these_queries_and_keys(kind, config):
    """No rotation and no bias by place stand between projections and weights in these models."""
    model = built(kind, **config)
    for parameter in model.parameters():  # far from uniform
        parameter.data *= 3
    heads, _ = shown(model, input_ids=IDS)
    assert len(heads) == 2
    for one in heads:
        scores = torch.einsum("bqhd,bkhd->bhqk", one.queries, one.keys) / 8**0.5
        if kind == "GPT2":
            scores = scores.masked_fill(torch.ones(6, 6).triu(1).bool(), -torch.inf)
        torch.testing.assert_close(one.weights, scores.softmax(dim=3), atol=1e-5, rtol=1e-4)
        assert one.weights.amax() > 0.5
        assert not one.cross


def test_queries_and_keys_are_hidden_states_times_weights():
    model = built("Llama", **SMALL, num_key_value_heads=2)
    heads, output = shown(model, input_ids=IDS, output_hidden_states=True)
    for layer, one, states in zip(model.layers, heads, output.hidden_states, strict=False):
        states = layer.input_layernorm(states)
        queries = states @ layer.self_attn.q_proj.weight.T
        keys = states @ layer.self_attn.k_proj.weight.T
        torch.testing.assert_close(one.queries, queries.view(2, 6, 4, 8), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(one.keys, keys.view(2, 6, 2, 8), atol=1e-6, rtol=1e-5)


def test_the_fused_projection_of_gpt_2_is_cut_by_hand():
    model = built("GPT2", vocab_size=20, n_embd=32, n_layer=2, n_head=4)
    heads, output = shown(model, input_ids=IDS, output_hidden_states=True)
    for block, one, states in zip(model.h, heads, output.hidden_states, strict=False):
        fused = block.ln_1(states) @ block.attn.c_attn.weight + block.attn.c_attn.bias
        queries, keys, _ = fused.split(32, dim=2)
        torch.testing.assert_close(one.queries, queries.reshape(2, 6, 4, 8), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(one.keys, keys.reshape(2, 6, 4, 8), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "config"),
    [("GPTNeoX", SMALL), ("Bloom", {"vocab_size": 20, "hidden_size": 32, "n_layer": 2, "n_head": 4})],
)
def test_a_projection_fused_by_head_is_that_of_its_model(kind, config):
    model = built(kind, **config)
    for parameter in model.parameters():
        parameter.data *= 3
    heads, _ = shown(model, input_ids=IDS)
    one = heads[0]
    if kind == "Bloom":
        scores = torch.einsum("bqhd,bkhd->bhqk", one.queries, one.keys) / 8**0.5
        slopes = torch.tensor([2.0 ** -(2 * number) for number in range(1, 5)])
        scores = scores + slopes[:, None, None] * torch.arange(6)
        scores = scores.masked_fill(torch.ones(6, 6).triu(1).bool(), -torch.inf)
        torch.testing.assert_close(one.weights, scores.softmax(dim=3), atol=1e-5, rtol=1e-4)
    else:
        layer = model.layers[0].attention
        states = model.layers[0].input_layernorm(model.embed_in(IDS))
        fused = (states @ layer.query_key_value.weight.T + layer.query_key_value.bias).view(2, 6, 4, 24)
        torch.testing.assert_close(one.queries, fused[..., :8], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(one.keys, fused[..., 8:16], atol=1e-5, rtol=1e-4)


def test_attention_of_a_decoder_to_an_encoder_is_told_apart():
    model = built("T5", vocab_size=20, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
    heads, output = shown(
        model, collected=True, input_ids=IDS, decoder_input_ids=IDS[:, :4], output_hidden_states=True
    )
    cross = [one for one in heads if one.cross]
    assert [one.attention.name for one in cross] == [
        f"decoder.block.{number}.layer.1.EncDecAttention" for number in (0, 1)
    ]
    for one, weights in zip(cross, output.cross_attentions, strict=True):
        assert one.weights.shape == (2, 4, 4, 6)
        torch.testing.assert_close(one.weights, weights)
        keys = output.encoder_last_hidden_state @ one.attention.key.weight.T
        torch.testing.assert_close(one.keys, keys.view(2, 6, 4, 8), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("Bert", SMALL),
        ("GPT2", {"vocab_size": 20, "n_embd": 32, "n_layer": 2, "n_head": 4}),
        ("Llama", {**SMALL, "num_key_value_heads": 2}),
        ("GPTNeoX", SMALL),
    ],
)
def test_level_queries_have_the_same_weight_on_every_key_that_is_allowed(kind, config):
    heads, _ = shown(built(kind, **config), level=True, input_ids=IDS)
    allowed = torch.ones(6, 6) if kind == "Bert" else torch.ones(6, 6).tril()
    truth = (allowed / allowed.sum(dim=1, keepdim=True)).expand(2, 4, 6, 6)
    assert len(heads) == 2
    for one in heads:
        torch.testing.assert_close(one.weights, truth)


def test_the_model_and_its_configuration_are_left_as_they_were():
    model = built("Bert", **SMALL)
    before = model.config._attn_implementation, model.config.output_attentions
    assert before == ("sdpa", False)

    def fail():
        with weights_returned(model, collected=True), HeadTaps(attentions(model), lambda shown: 1 / 0):
            assert (model.config._attn_implementation, model.config.output_attentions) == ("eager", True)
            model(IDS)

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (model.config._attn_implementation, model.config.output_attentions) == before
    hooks = [hook for module in model.modules() for hook in module._forward_hooks.values()]
    assert not any("HeadTaps" in hook.__qualname__ for hook in hooks)  # transformers has some of its own


def test_a_model_without_such_attention_is_told_which_modules_look_like_it():
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.my_attention = nn.MultiheadAttention(8, 2)

    with pytest.raises(ValueError, match=r"names: my_attention, my_attention\.out_proj"):
        attentions(Mine())


def test_a_module_that_does_not_say_its_heads_is_told_how():
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key = nn.Linear(8, 8), nn.Linear(8, 8)

    with pytest.raises(ValueError, match="can not tell how many heads Mine has"):
        attentions(Mine())
    model = Mine()
    model.num_heads = 2
    assert attentions(model)[0].heads == 2
