import math

import numpy as np
import pytest
import torch
from torch import nn

from conescope import profile_layers
from conescope.capture.batch import ordered
from conescope.capture.texts import Texts
from conescope.profile.token_plan import token_plan
from conescope.results import Profile
from tests.profile.made import Made, Plus, Words, texts
from tests.reference import token_views as reference

TABLE = torch.randn(20, 6, generator=torch.Generator().manual_seed(3)) + 0.5
PLACES = torch.randn(16, 6, generator=torch.Generator().manual_seed(4))
SETTINGS = {"processor": Words(), "measures": ("mean_cosine",), "token_views": True}
WITHOUT_A_TENTH = [[n for n in range(40) if n % 10 != group] for group in range(10)]
SCALARS = (
    "mean_cosine_random",
    "self_similarity",
    "self_similarity_adjusted",
    "intra_text_similarity",
    "intra_text_similarity_adjusted",
    "explainable_variance",
    "explainable_variance_adjusted",
)


class Placed(nn.Module):
    """A block that adds to every token a vector of its position."""

    def __init__(self, scale):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def forward(self, states):
        return (states + self.scale * PLACES[: states.shape[1]],)


def table(profile, name, layer):
    return next(found for found in profile.layer(layer).tables if found.name == name)


def tokens(profile, layer):
    """Return {measure: (value, low, high, count, note)}."""
    return {row[0]: row[1:] for row in table(profile, "tokens", layer).rows}


def plan_of(sentences, *, special=False, batch_size=32):
    prepared = Texts(sentences, Words())
    return token_plan(
        prepared, ordered(prepared, batch_size), lambda batch: batch.tokens, special_tokens=special, d=6
    )


def spoken(sentences, scale, *, special=False):
    """Return the types and vectors of each text, looked up one at a time."""
    found = []
    for sentence in sentences:
        ids = [0, *map(int, sentence.split()), 1]
        rows = [(kind, (TABLE[kind] + scale * PLACES[at]).double().numpy()) for at, kind in enumerate(ids)]
        found.append(rows if special else rows[1:-1])
    return found


def truth(plan, spoken_texts, numbers):
    """Return the scalars over some of the texts, by the definitions."""
    some = [spoken_texts[n] for n in numbers]
    picks = [int(float(plan.draws[n]) * len(spoken_texts[n])) for n in numbers]
    baseline = reference.random_cosine(some, picks)
    similar = reference.self_similarity(some, plan.types.tolist())
    intra = reference.intra_text_similarity(some)
    rows = plan.random_rows.tolist()
    random = [spoken_texts[n][pick][1] for n, pick in zip(numbers, picks, strict=True) if rows[n] >= 0]
    order = [rows[n] for n in numbers if rows[n] >= 0]
    random = [random[place] for place in np.argsort(order)]
    found = reference.occurrences(some)
    variances, more = [], []
    for kind in plan.types[: plan.varied].tolist():
        vectors = found.get(kind, [])
        if len(vectors) > 1:
            variances.append(reference.explainable_variance(vectors))
            more.append(variances[-1] - reference.explainable_variance(random[: len(vectors)]))
    return {
        "mean_cosine_random": baseline,
        "self_similarity": similar,
        "self_similarity_adjusted": similar - baseline,
        "intra_text_similarity": intra,
        "intra_text_similarity_adjusted": intra - baseline,
        "explainable_variance": reference.mean(variances),
        "explainable_variance_adjusted": reference.mean(more),
    }


@pytest.mark.parametrize("special", [False, True])
def test_scalars_and_their_intervals_by_the_definitions(special):
    sentences = texts(40)
    profile = profile_layers(Made(TABLE, [Placed(0.7)]), sentences, special_tokens=special, **SETTINGS)
    plan = plan_of(sentences, special=special)
    assert plan.varied == len(plan.types) > 5
    for layer, scale in enumerate((0.0, 0.7)):
        said = spoken(sentences, scale, special=special)
        expected = truth(plan, said, range(40))
        parts = [truth(plan, said, kept) for kept in WITHOUT_A_TENTH]
        found = tokens(profile, layer)
        assert tuple(found) == SCALARS
        for name in SCALARS:
            value, low, high, count, note = found[name]
            assert value == pytest.approx(expected[name], abs=1e-6), name
            half = reference.jackknife([part[name] for part in parts])
            assert (high - low) / 2 == pytest.approx(half, abs=1e-6), name
            assert (high + low) / 2 == pytest.approx(value)
            assert note is None
            texts_counted = name.startswith(("mean", "intra"))
            assert count == (40 if texts_counted else len(plan.types))


def test_rogue_dimensions_by_all_pairs():
    sentences = texts(40)
    table_of_words = TABLE.clone()
    table_of_words[:, 4] += 6
    profile = profile_layers(Made(table_of_words, [Plus(torch.zeros(6))]), sentences, **SETTINGS)
    plan = plan_of(sentences)
    said = [[(int(w), table_of_words[int(w)].double().numpy()) for w in s.split()] for s in sentences]
    picks = [int(float(draw) * len(text)) for draw, text in zip(plan.draws, said, strict=True)]
    shares = reference.contributions(said, picks)
    parts = [
        reference.contributions([said[n] for n in kept], [picks[n] for n in kept]) for kept in WITHOUT_A_TENTH
    ]
    rows = table(profile, "rogue_dimensions", 1).rows
    assert [row[0] for row in rows] == np.argsort(-shares)[:3].tolist()
    assert rows[0][0] == 4
    for dimension, share, low, high, note in rows:
        assert share == pytest.approx(shares[int(dimension)], abs=1e-6)
        half = reference.jackknife([part[int(dimension)] for part in parts])
        assert (high - low) / 2 == pytest.approx(half, abs=1e-6)
        assert note is None


def test_frequency_bins_by_the_definitions():
    sentences = [f"{sentence} 2 2 3" for sentence in texts(40, words=20)]
    profile = profile_layers(Made(TABLE, [Placed(0.7)]), sentences, **SETTINGS)
    plan = plan_of(sentences)
    said = spoken(sentences, 0.7)
    expected = reference.bins(said)
    found = {}
    for low_count, high_count, size, kinds, name, *value in table(profile, "frequency", 1).rows:
        found.setdefault((low_count, high_count, size, kinds), {})[name] = value
    assert len(found) == len(expected) > 1
    for level, (head, values) in zip(sorted(expected), sorted(found.items()), strict=True):
        kinds = expected[level]
        chosen = set(plan.types.tolist()) & kinds
        of_bin, *parts = (
            reference.of_bin([said[n] for n in kept], kinds, chosen) for kept in [range(40), *WITHOUT_A_TENTH]
        )
        assert head == (2**level, 2 ** (level + 1) - 1, of_bin.pop("tokens"), len(kinds))
        assert set(values) == set(of_bin)
        for name, (value, low, high, _) in values.items():
            assert value == pytest.approx(of_bin[name], abs=1e-6), (level, name)
            half = reference.jackknife([part[name] for part in parts])
            assert (high - low) / 2 == pytest.approx(half, abs=1e-6), (level, name)


def test_neither_batch_size_nor_padding_changes_a_number():
    sentences = texts(70)
    one, many = (
        profile_layers(Made(TABLE, [Placed(0.7)]), sentences, batch_size=size, **SETTINGS) for size in (1, 32)
    )
    compared = 0
    for mine, other in zip(one.layers, many.layers, strict=True):
        for first, second in zip(mine.tables, other.tables, strict=True):
            assert first.columns == second.columns
            for row, again in zip(first.rows, second.rows, strict=True):
                for cell, twin in zip(row, again, strict=True):
                    compared += isinstance(cell, float)
                    assert cell == (pytest.approx(twin, abs=1e-6) if isinstance(twin, float) else twin)
    assert compared > 100


def test_where_context_changes_nothing_a_type_is_all_alike():
    profile = profile_layers(Made(TABLE, [Plus(torch.zeros(6))] * 2), texts(60), **SETTINGS)
    for layer in range(3):
        found = tokens(profile, layer)
        assert found["self_similarity"][0] == pytest.approx(1, abs=1e-12)
        assert found["explainable_variance"][0] == pytest.approx(1, abs=1e-12)
        adjusted = 1 - found["mean_cosine_random"][0]
        assert found["self_similarity_adjusted"][0] == pytest.approx(adjusted, abs=1e-12)


def test_what_depends_on_the_place_lowers_self_similarity():
    model = Made(TABLE, [Placed(scale) for scale in (0.3, 0.3, 0.6)])
    profile = profile_layers(model, texts(80), **SETTINGS)
    for name in ("self_similarity", "explainable_variance"):
        values = [tokens(profile, layer)[name][0] for layer in range(4)]
        assert values == sorted(values, reverse=True)
        assert values[0] - values[3] > 0.05


def test_the_worked_example():
    words = torch.zeros(5, 2)
    words[2:] = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    profile = profile_layers(Made(words, [Plus(torch.zeros(2))]), ["2", "3", "4"], **SETTINGS)
    found = tokens(profile, 1)
    assert found["mean_cosine_random"][:3] == (pytest.approx(math.sqrt(2) / 3), None, None)
    assert found["intra_text_similarity"][0] == pytest.approx(1)
    assert found["self_similarity"] == (None, None, None, 0, "no type occurs in 5 texts")
    assert found["explainable_variance_adjusted"][0] is None
    (head,) = {row[:4] for row in table(profile, "frequency", 1).rows}
    assert head == (1, 1, 3, 3)
    values = {row[4]: row[5] for row in table(profile, "frequency", 1).rows}
    assert values["mean_norm"] == pytest.approx(1.471405, abs=1e-6)
    assert values["relative_drift"] == pytest.approx(1.201850 / 1.471405, abs=1e-6)
    assert values["mean_cosine"] == pytest.approx(0.471405, abs=1e-6)
    assert values["cosine_to_mean"] == pytest.approx(1)
    assert values["self_similarity"] is None


def test_one_text_has_no_pair():
    profile = profile_layers(Made(TABLE, [Plus(torch.zeros(6))]), ["3 4 4"], **SETTINGS)
    found = tokens(profile, 1)
    assert found["mean_cosine_random"] == (
        None,
        None,
        None,
        1,
        "fewer than two texts have a token with a direction",
    )
    assert found["intra_text_similarity"][0] == pytest.approx(
        reference.intra_text_similarity(spoken(["3 4 4"], 0.0)), abs=1e-6
    )
    assert {row[1] for row in table(profile, "rogue_dimensions", 1).rows} == {None}
    pairs = [row[5] for row in table(profile, "frequency", 1).rows if row[4] == "mean_cosine"]
    assert pairs == [None, None]
    assert Profile.model_validate_json(profile.to_json()) == profile  # no NaN, which JSON has not


def test_zero_vectors_have_no_direction():
    words = TABLE.clone()
    words[5] = 0
    sentences = ["5", "5 3", "3", "7", "5", "5", "5"]
    profile = profile_layers(Made(words, [Plus(torch.zeros(6))]), sentences, **SETTINGS)
    found = tokens(profile, 1)
    assert found["mean_cosine_random"][3] in (2, 3)
    assert found["intra_text_similarity"][3] == 3  # texts whose mean is not zero
    assert found["self_similarity"][0] is None
    assert found["explainable_variance"][0] is None


def test_few_types_and_occurrences_where_memory_asks_for_it(monkeypatch):
    for module in ("token_plan", "token_sums", "token_tables"):
        monkeypatch.setattr(f"conescope.profile.{module}.OCCURRENCES", 6)
    monkeypatch.setattr("conescope.profile.token_plan.TYPES", 4)
    monkeypatch.setattr("conescope.profile.token_plan.VARIED", 2)
    monkeypatch.setattr("conescope.profile.token_plan.WAITING", 8)
    sentences = texts(60)
    plan, twin = plan_of(sentences), plan_of(sentences, batch_size=7)
    for name, value in vars(plan).items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(getattr(twin, name))), name
    assert len(plan.types) == 4
    assert plan.varied == 2
    assert sorted(plan.rows.tolist()) == list(range(12))
    profile = profile_layers(Made(TABLE, [Placed(0.7)]), sentences, **SETTINGS)
    said = spoken(sentences, 0.7)
    found = tokens(profile, 1)
    assert found["self_similarity"][0] == pytest.approx(
        reference.self_similarity(said, plan.types.tolist()), abs=1e-6
    )
    variances = []
    for slot, kind in enumerate(plan.types[:2].tolist()):
        owners = [key // 4 for key in plan.held.tolist() if key % 4 == slot]
        vectors = [reference.occurrences([said[owner]])[kind][0] for owner in owners]
        assert len(vectors) == 6
        variances.append(reference.explainable_variance(vectors))
    assert found["explainable_variance"][0] == pytest.approx(sum(variances) / 2, abs=1e-6)
    assert found["explainable_variance"][3] == 2


def test_many_dimensions_allow_for_fewer_types():
    prepared = Texts(texts(60), Words())
    batches = ordered(prepared, 8)
    plan = token_plan(prepared, batches, lambda batch: batch.tokens, special_tokens=False, d=1 << 16)
    assert len(plan.types) == (1 << 25) // (80 << 16) == 6
    assert plan.varied == (1 << 25) // (200 << 16) == 2


def test_a_stopped_run_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("conescope.profile.running.FOLD_EVERY", 2)
    monkeypatch.setattr("conescope.profile.pausing.SECONDS", 0.0)
    settings = {"batch_size": 4, **SETTINGS}
    whole = profile_layers(Made(TABLE, [Placed(0.7)]), texts(50), **settings)

    def stop(done, total):
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        profile_layers(Made(TABLE, [Placed(0.7)]), texts(50), path=tmp_path, advance=stop, **settings)
    model = Made(TABLE, [Placed(0.7)])
    again = profile_layers(model, texts(50), path=tmp_path, **settings)
    assert again == whole
    assert sum(size for size, _ in model.asked[1:]) == 50 - 16  # one pass finds the layers
    plain = profile_layers(model, texts(50), path=tmp_path, **{**settings, "token_views": False})
    assert not any(layer.tables for layer in plain.layers)  # a finished profile with views is another


def test_a_layer_whose_positions_are_no_tokens_says_so():
    class Halved(nn.Module):
        def forward(self, states):
            return (states[:, ::2],)

    profile = profile_layers(Made(TABLE, [Halved()]), texts(30), **SETTINGS)
    assert tokens(profile, 0)["self_similarity"][0] is not None
    notes = {row[5] for row in table(profile, "tokens", 1).rows}
    assert notes == {"the positions of this layer are not the tokens of the inputs"}
    assert len(profile.layer(1).tables) == 1


def test_a_text_with_a_token_that_is_not_finite_is_named():
    words = TABLE.clone()
    words[7] = math.nan
    sentences = ["3 4", "4 7", "5 6"]
    model = Made(words, [Plus(torch.zeros(6))])
    with pytest.raises(ValueError, match=r"the hidden states of layer.0 hold NaN or infinity, for input 1 "):
        profile_layers(model, sentences, pooling="first", **SETTINGS)


def test_inputs_without_types_are_refused():
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 5))
    with pytest.raises(ValueError, match=r"token views need tokens that have types.*leave token views out"):
        profile_layers(model, torch.randn(30, 4), blocks=["0", "1"], **{**SETTINGS, "processor": None})


def test_both_sides_of_an_encoder_decoder():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=20, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    sentences = texts(60)
    profile = profile_layers(transformers.T5Model(config), sentences, **SETTINGS)
    assert len(profile.stacks()) == 2
    for stack in profile.stacks():
        for layer in profile.of(stack):
            found = {row[0]: row[1:] for row in layer.tables[0].rows}
            assert found["mean_cosine_random"][3] == 60
            same = layer.depth == 0  # T5 adds no position to its words
            assert (found["self_similarity"][0] == pytest.approx(1, abs=1e-6)) == same
