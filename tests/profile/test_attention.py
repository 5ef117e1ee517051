"""Drift and sharpness of heads against their definitions, on models made by hand and small random ones."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
import transformers
from torch import nn

from conescope.profile import profile_attention
from conescope.profile.across_heads import correlated
from conescope.results import AttentionProfile
from tests.profile.made import Words, texts

SMALL = {
    "vocab_size": 20,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}


def built(kind, scale=3.0, **config):
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}Model")
    model = model(model.config_class(**config, bos_token_id=None, eos_token_id=None)).eval()
    for parameter in model.parameters():  # far from uniform attention
        parameter.data *= scale
    return model


class Attending(nn.Module):
    """Two heads of two numbers over a table of four, and queries and keys that are linear in it."""

    def __init__(self, spread, query, key):
        super().__init__()
        table = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
        self.embedding = nn.Embedding.from_pretrained(table)
        self.query, self.key = nn.Linear(4, 4), nn.Linear(4, 4)
        self.num_heads = 2
        for projection, bias in ((self.query, query), (self.key, key)):
            projection.weight.data = spread * torch.eye(4)
            projection.bias.data = torch.tensor(bias)

    def forward(self, input_ids, attention_mask):
        states = self.embedding(input_ids)
        queries, keys = (part(states).unflatten(2, (2, 2)) for part in (self.query, self.key))
        scores = torch.einsum("bqhd,bkhd->bhqk", queries, keys)
        scores = scores.masked_fill(attention_mask[:, None, None] == 0, -torch.inf)
        weights = scores.softmax(dim=3)
        return states, weights


def test_constant_queries_and_keys_are_their_biases():
    model = Attending(0.0, [3.0, 4.0, 1.0, 0.0], [4.0, 3.0, 0.0, -2.0])
    found = profile_attention(model, texts(30), processor=Words())
    assert found.value("query_norm", 0, 0) == pytest.approx(5)
    assert found.value("key_norm", 0, 1) == pytest.approx(2)
    assert found.value("query_drift", 0, 0) == pytest.approx(1)
    assert found.value("cosine", 0, 0) == pytest.approx(24 / 25)
    assert found.value("cosine", 0, 1) == pytest.approx(0, abs=1e-12)
    assert found.value("product", 0, 0) == found.value("sampled_product", 0, 0) == pytest.approx(24)
    assert found.value("sampled_error", 0, 0) == pytest.approx(0, abs=1e-12)


def test_uniform_attention_has_entropy_one_and_maximum_one_over_t():
    sentences = ["2 3 4 5 6"] * 12 + ["7 8"] * 12  # seven tokens and four, with those at both ends
    found = profile_attention(Attending(0.0, [0.0] * 4, [1.0] * 4), sentences, processor=Words())
    assert found.value("entropy", 0, 0) == pytest.approx(1)
    assert found.value("maximum", 0, 1) == pytest.approx((5 / 7 + 2 / 4) / 7)
    assert found.value("special_weight", 0, 1) == pytest.approx((5 * 2 / 7 + 2 * 2 / 4) / 7)
    assert found.head(0, 0).measured("cosine").value is None
    with pytest.raises(ValueError, match="cosine is undefined here: a mean or all vectors are zero"):
        found.value("cosine", 0, 0)


@pytest.mark.parametrize("special", [False, True])
def test_means_are_over_the_words_by_the_definition(special):
    sentences = texts(60)
    model = Attending(1.0, [1.0, 0.0, 2.0, 0.0], [0.5, 0.5, 0.0, -2.0])
    found = profile_attention(model, sentences, processor=Words(), special_tokens=special)
    words = [[int(word) for word in sentence.split()] for sentence in sentences]
    ids = [[0, *row, 1] if special else row for row in words]
    states = model.embedding.weight[torch.tensor([each for row in ids for each in row])].double().detach()
    for head in (0, 1):
        mine = slice(2 * head, 2 * head + 2)
        q, k = ((states + part.bias.detach().double())[:, mine] for part in (model.query, model.key))
        mu_q, mu_k = q.mean(dim=0), k.mean(dim=0)
        truth = {
            "query_norm": mu_q.norm(),
            "key_norm": mu_k.norm(),
            "query_drift": mu_q.norm() / q.norm(dim=1).mean(),
            "key_drift": mu_k.norm() / k.norm(dim=1).mean(),
            "cosine": mu_q @ mu_k / mu_q.norm() / mu_k.norm(),
            "product": mu_q @ mu_k,
        }
        for name, value in truth.items():
            assert found.value(name, 0, head) == pytest.approx(float(value), rel=1e-6)


def test_products_of_independent_tokens_have_the_product_of_means_as_their_expectation():
    model = Attending(1.0, [1.0, 0.0, 2.0, 0.0], [0.5, 0.5, 0.0, -2.0])
    errors = []
    for seed in range(8):
        found = profile_attention(model, texts(400), processor=Words(), seed=seed)
        for head in (0, 1):
            error = found.value("sampled_error", 0, head)
            assert 0.02 < error < 0.3  # standard deviation of q . k of about 2 over the root of 512
            errors.append((found.value("sampled_product", 0, head) - found.value("product", 0, head)) / error)
    assert max(map(abs, errors)) < 4
    assert len({round(error, 9) for error in errors}) == 16  # seeds draw other pairs
    assert 0.4 < np.std(errors) < 1.8


def entropy_and_maximum(model, sentences, *, causal=False):
    """Return the numbers from `output_attentions` of single texts without padding, as loops of Python."""
    model.set_attn_implementation("eager")
    entropies, maxima, sinks = [], [], []
    for sentence in sentences:
        ids = [0, *map(int, sentence.split()), 1]
        with torch.no_grad():
            layers = model(torch.tensor([ids]), output_attentions=True).attentions
        weights = torch.stack(layers)[:, 0].double()  # layers, heads, queries, keys
        for query in range(1, len(ids) - 1):
            choices = query + 1 if causal else len(ids)
            row = weights[:, :, query, :choices]
            entropies.append(-(row * row.log()).sum(dim=2) / math.log(choices))
            maxima.append(row.amax(dim=2))
            sinks.append(weights[:, :, query, 0] + weights[:, :, query, -1])
    model.set_attn_implementation("sdpa")
    return [torch.stack(each).mean(dim=0) for each in (entropies, maxima, sinks)]


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("Bert", SMALL),
        ("GPT2", {"vocab_size": 20, "n_embd": 32, "n_layer": 2, "n_head": 4}),
        ("Llama", {**SMALL, "num_key_value_heads": 2}),
    ],
)
def test_sharpness_is_that_of_single_texts_without_padding(kind, config):
    model, sentences = built(kind, **config), texts(25)
    found = profile_attention(model, sentences, processor=Words(), batch_size=8)
    truth = entropy_and_maximum(model, sentences, causal=kind != "Bert")
    assert len(found.heads) == 8
    for head in found.heads:
        for name, values in zip(("entropy", "maximum", "special_weight"), truth, strict=True):
            assert found.value(name, head.layer, head.head) == pytest.approx(
                float(values[head.layer, head.head]), rel=1e-4, abs=1e-6
            )
    if kind == "Llama":
        assert [head.key_head for head in found.heads[:4]] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("Bert", SMALL),
        ("Llama", {**SMALL, "num_key_value_heads": 2}),
        (
            "T5",
            {
                "vocab_size": 20,
                "d_model": 32,
                "d_kv": 8,
                "d_ff": 64,
                "num_layers": 2,
                "num_heads": 4,
                "decoder_start_token_id": 0,
                "pad_token_id": 0,
            },
        ),
    ],
)
def test_batch_size_changes_no_number(kind, config):
    model = built(kind, scale=1.5, **config)
    one, many = (profile_attention(model, texts(30), processor=Words(), batch_size=size) for size in (1, 8))
    assert len(one.heads) == (24 if kind == "T5" else 8)
    for here, there in zip(one.heads, many.heads, strict=True):
        assert (here.stack, here.kind, here.layer, here.head) == (
            there.stack,
            there.kind,
            there.layer,
            there.head,
        )
        for mine, other in zip(here.values, there.values, strict=True):
            assert mine.value == pytest.approx(other.value, rel=1e-3, abs=1e-5)
            assert (mine.low is None) == (other.low is None) == (mine.name == "sampled_error")
            if mine.low is not None:
                assert mine.low == pytest.approx(other.low, rel=1e-3, abs=1e-4)


def test_a_weight_that_is_too_small_for_its_type_still_is_a_choice():
    """All weight falls on one key, by far: the others may be attended to all the same."""
    model = Attending(1000.0, [0.0] * 4, [0.0] * 4)
    sentences = [f"{word} {word + 5} {word + 11}" for word in range(2, 9)]  # no word twice
    found = profile_attention(model, sentences, processor=Words())
    assert found.value("entropy", 0, 0) == pytest.approx(0, abs=0.02)
    assert found.value("maximum", 0, 0) > 0.98


def test_keys_of_another_window_are_no_choice():
    """Shifted windows hold pieces that may not attend to each other; near zero weights are near uniform."""
    model = built(
        "Swin", scale=0.5, image_size=32, patch_size=2, embed_dim=16, depths=[2], num_heads=[2], window_size=4
    )
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = profile_attention(model, [{"pixel_values": image} for image in images])
    assert len(found.heads) == 4
    for head in found.heads:
        assert found.value("entropy", head.layer, head.head) == pytest.approx(1, abs=1e-3)
    assert found.value("maximum", 0, 0) == pytest.approx(1 / 16, rel=0.05)
    # of 4 x 4 windows, those of the last row and column are cut into halves, and the corner into quarters
    mean = (9 * 1 / 16 + 6 * 1 / 8 + 1 / 4) / 16
    assert found.value("maximum", 1, 0) == pytest.approx(mean, rel=0.05)


def test_a_query_without_choice_does_not_count():
    model = built("Llama", **SMALL)

    class Bare(Words):
        def __call__(self, sentences, **wanted):
            ids = [[*map(int, sentence.split())] for sentence in sentences]
            return {"input_ids": ids, "special_tokens_mask": [[0] * len(row) for row in ids]}

    found = profile_attention(model, ["2", "3", "4"], processor=Bare())
    assert found.head(0, 0).measured("entropy").note == "no query that counts may attend to two keys or more"
    assert found.head(0, 0).measured("special_weight").value is None
    assert found.value("query_norm", 0, 0) > 0


def test_intervals_are_those_of_leaving_out_a_tenth_of_the_inputs():
    sentences = texts(200)
    model = Attending(1.0, [1.0, 0.0, 2.0, 0.0], [0.5, 0.5, 0.0, -2.0])
    found = profile_attention(model, sentences, processor=Words(), seed=3)
    groups = np.random.default_rng(3).permutation(200) % 10
    parts = [
        profile_attention(
            model,
            [text for text, group in zip(sentences, groups, strict=True) if group != left],
            processor=Words(),
        )
        for left in range(10)
    ]
    for name in ("query_drift", "product", "entropy"):
        values = [part.value(name, 0, 1) for part in parts]
        half = scipy.stats.t.ppf(0.975, 9) * math.sqrt(9 * np.var(values))
        measured = found.head(0, 1).measured(name)
        assert (measured.low, measured.high) == pytest.approx(
            (measured.value - half, measured.value + half), rel=1e-6
        )
    few = profile_attention(model, sentences[:19], processor=Words())
    assert few.head(0, 0).measured("entropy").low is None
    assert few.notes[0] == "fewer than 20 inputs: no intervals"


def test_correlations_are_those_of_scipy_and_their_intervals_hold_the_truth_as_often_as_they_say():
    generator = np.random.default_rng(0)
    held = 0
    for seed in range(60):
        x = generator.normal(size=50)
        pairs = np.stack([x, 0.6 * x + 0.8 * generator.normal(size=50)], axis=1)
        rank, linear = correlated(pairs, seed=seed)
        assert rank.value == pytest.approx(scipy.stats.spearmanr(*pairs.T).statistic)
        assert linear.value == pytest.approx(scipy.stats.pearsonr(*pairs.T).statistic)
        held += linear.low < 0.6 < linear.high
    assert 50 <= held < 60
    assert correlated(pairs[:3], seed=0)[0].low is None
    assert correlated(pairs[:2], seed=0)[0].note == "fewer than three heads"
    assert correlated(np.ones((5, 2)), seed=0)[1].note == "a number is the same for all heads"


def test_a_profile_reads_itself_back_and_says_what_there_is():
    found = profile_attention(built("Bert", **SMALL), texts(24), processor=Words())
    assert AttentionProfile.model_validate_json(found.to_json()) == found
    frame = found.to_frame()
    assert len(frame) == 8 * 11
    mine = frame[(frame.layer == 1) & (frame["head"] == 2) & (frame.measure == "cosine")]
    assert mine.value.item() == found.value("cosine", 1, 2)
    assert len(found.correlations) == 6
    assert all(one.heads == 8 for one in found.correlations)
    x = [abs(found.value("cosine", head.layer, head.head)) for head in found.heads]
    y = [1 - found.value("entropy", head.layer, head.head) for head in found.heads]
    assert found.correlations[0].rank.value == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
    assert "not independent" in found.notes[-1]
    with pytest.raises(ValueError, match="there are layers 0 to 1, heads 0 to 3"):
        found.head(2, 0)
    with pytest.raises(KeyError, match="there are query_norm, key_norm"):
        found.head(0, 0).measured("sharpness")


def test_attention_that_returns_no_weights_is_told_so():
    class Silent(Attending):
        def forward(self, input_ids, attention_mask):
            return super().forward(input_ids, attention_mask)[0]

    model = Silent(1.0, [0.0] * 4, [0.0] * 4)
    with pytest.raises(ValueError, match="attention of Silent returned no weights"):
        profile_attention(model, texts(5), processor=Words())
    model = built("Bert", **SMALL)
    model.encoder.layer[1].attention.self.key.bias.data[0] = math.nan
    with pytest.raises(ValueError, match=r"queries or keys of encoder.layer.1.attention.self hold NaN"):
        profile_attention(model, texts(5), processor=Words())
    assert model.config._attn_implementation == "sdpa"
    with pytest.raises(ValueError, match="a batch has one input or more, got batch_size 0"):
        profile_attention(model, texts(5), processor=Words(), batch_size=0)
