import math

import pytest
import torch
from torch import nn

from conescope import measure, profile_layers
from conescope.capture import Spot
from conescope.measures import MEASURES
from conescope.profile.gathering import BUFFER, Gathering
from conescope.results import Profile
from tests.profile.made import Made, Plus, Words, texts

FAST = ("mean_cosine", "mean_cosine_centered", "anisotropy_1", "isoscore", "drift", "mean_norm")
TABLE = torch.randn(20, 6, generator=torch.Generator().manual_seed(3))


def made(*constants):
    return Made(TABLE.clone(), [Plus(torch.full((6,), constant)) for constant in constants])


def pooled(sentences, pooling, *, special=False, shift=0.0):
    """Return the points by the definition: look up each word, one text at a time."""
    rows = []
    for sentence in sentences:
        words = [int(word) for word in sentence.split()]
        ids = [0, *words, 1] if special or pooling == "cls" else words
        vectors = TABLE[ids] + shift
        if pooling == "mean":
            rows.append(vectors.double().mean(dim=0).float())
        elif pooling in ("first", "cls"):
            rows.append(vectors[0])
        elif pooling == "last":
            rows.append(vectors[-1])
        else:
            rows.extend(vectors)
    return torch.stack(rows)


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "first", "last", "tokens"])
def test_the_measures_of_each_layer_are_those_of_its_points(pooling, special):
    sentences = texts(60)
    found = profile_layers(
        made(0.0, 2.0), sentences, pooling=pooling, special_tokens=special, processor=Words(), measures=FAST
    )
    assert [(layer.depth, layer.kind) for layer in found.layers] == [(0, "input"), (1, "block"), (2, "block")]
    for depth, shift in enumerate((0.0, 0.0, 2.0)):
        points = pooled(sentences, pooling, special=special, shift=shift)
        if points.std(dim=0).max() == 0:
            assert found.layer(depth).constant
            continue
        truth = measure(points, measures=FAST, intervals=False, null=False)
        assert found.layer(depth).measurement.n == len(points)
        for name in FAST:
            assert found.value(name, layer=depth) == pytest.approx(truth.value(name), rel=1e-5, abs=1e-6)


def test_what_is_constant_is_called_so():
    found = profile_layers(made(0.0, 1.0), texts(40), pooling="cls", processor=Words(), measures=FAST)
    assert all(layer.constant for layer in found.layers)
    assert found.measured("mean_cosine", layer=1).value is None
    with pytest.raises(ValueError, match="mean_cosine is undefined here: constant: all points coincide"):
        found.value("mean_cosine", layer=0)
    assert "constant, all points coincide: layer 0, 1, 2" in str(found)


def test_a_constant_that_is_added_moves_the_mean_and_nothing_else():
    found = profile_layers(made(5.0), texts(80), processor=Words(), measures=FAST)
    assert found.value("anisotropy_1", layer=1) == pytest.approx(
        found.value("anisotropy_1", layer=0), rel=1e-4
    )
    assert found.value("isoscore", layer=1) == pytest.approx(found.value("isoscore", layer=0), rel=1e-4)
    assert found.value("mean_cosine", layer=1) > 0.9 > found.value("mean_cosine", layer=0)


@pytest.mark.parametrize("pooling", ["mean", "last", "tokens"])
def test_neither_batch_size_nor_padding_changes_a_number(pooling):
    sentences = texts(70)
    one, many = (
        profile_layers(
            made(0.5, 1.0), sentences, pooling=pooling, batch_size=size, processor=Words(), measures=FAST
        )
        for size in (1, 32)
    )
    for mine, other in zip(one.layers, many.layers, strict=True):
        for first, second in zip(mine.measurement.values, other.measurement.values, strict=True):
            assert first.name == second.name
            for here, there in (
                (first.value, second.value),
                (first.low, second.low),
                (first.high, second.high),
            ):
                assert here == pytest.approx(there, rel=1e-5, abs=1e-6)


def test_a_stopped_run_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("conescope.profile.running.FOLD_EVERY", 2)
    monkeypatch.setattr("conescope.profile.pausing.SECONDS", 0.0)
    sentences = texts(50)
    settings = {"processor": Words(), "measures": FAST, "batch_size": 4}
    whole = profile_layers(made(0.5, 1.0), sentences, **settings)

    def stop(done, total):
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        profile_layers(made(0.5, 1.0), sentences, path=tmp_path, advance=stop, **settings)
    model = made(0.5, 1.0)
    again = profile_layers(model, sentences, path=tmp_path, **settings)
    assert again == whole
    assert sum(size for size, _ in model.asked[1:]) == 50 - 16  # one pass finds the layers
    assert not (tmp_path / "unfinished").exists()
    finished = made(0.5, 1.0)
    assert profile_layers(finished, sentences, path=tmp_path, **settings) == whole
    assert [size for size, _ in finished.asked] == [1]  # it was finished, and its file is whole
    other = made(0.5, 1.5)
    profile_layers(other, sentences, path=tmp_path, **settings)
    assert sum(size for size, _ in other.asked[1:]) == 50  # what another model left is not taken up


def test_the_model_is_left_as_it_was():
    model = made(0.0, 1.0).train()
    model.layer[0].eval()

    def fail(done, total):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        profile_layers(model, texts(40), processor=Words(), measures=FAST, advance=fail)
    assert model.training
    assert not model.layer[0].training
    assert model.layer[1].training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_profile_reads_itself_back():
    found = profile_layers(made(0.0), texts(40), processor=Words(), measures=FAST)
    assert Profile.model_validate_json(found.to_json()) == found
    frame = found.to_frame()
    assert len(frame) == len(FAST) * 2
    mine = frame[(frame.layer == 1) & (frame.measure == "drift")]
    assert mine.value.item() == found.value("drift", layer=1)


def test_intervals_of_tokens_are_over_texts():
    """Every text says one word eight times: as many independent points as texts, not as tokens."""
    generator = torch.Generator().manual_seed(1)
    words = torch.randint(2, 20, (200,), generator=generator).tolist()
    once = profile_layers(
        made(0.0), [str(w) for w in words], pooling="tokens", processor=Words(), measures=FAST
    )
    often = profile_layers(
        made(0.0), [" ".join([str(w)] * 8) for w in words], pooling="tokens", processor=Words(), measures=FAST
    )
    for name in ("anisotropy_1", "drift", "mean_norm"):
        one, eight = once.measured(name, 1), often.measured(name, 1)
        assert eight.value == pytest.approx(one.value, rel=0.02)
        ratio = (eight.high - eight.low) / (one.high - one.low)
        assert 0.4 < ratio < 2.5, name  # were tokens taken to be independent: 1 / sqrt(8) of that


def test_a_module_of_ones_own_by_the_names_of_its_parts():
    torch.manual_seed(0)
    recurrent = nn.LSTM(5, 7)  # time first, a tuple
    model = nn.Sequential(nn.Linear(4, 5), recurrent)
    points = torch.randn(30, 1, 4)
    with pytest.raises(ValueError, match=r"found no list of blocks in Sequential.*--blocks NAME.*among 0, 1"):
        profile_layers(model, points, measures=FAST)

    class First(nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.over = model[0], recurrent

        def forward(self, given):
            return self.over(self.into(given).transpose(0, 1))[0]

    found = profile_layers(First(), points, blocks=["into", "over"], measures=FAST)
    with torch.no_grad():
        truth = recurrent(model[0](points).transpose(0, 1))[0][0]
    assert found.value("mean_norm") == pytest.approx(float(truth.norm(dim=1).mean()), rel=1e-5)
    assert [layer.module for layer in found.layers] == ["into", "into", "over"]


def test_feature_maps_have_a_token_a_pixel():
    torch.manual_seed(0)
    model = nn.Module()
    model.blocks = nn.ModuleList([nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)])
    model.forward = lambda given: model.blocks[1](model.blocks[0](given))
    pictures = torch.randn(12, 3, 8, 8)
    found = profile_layers(model, pictures, pooling="tokens", measures=FAST, batch_size=5)
    with torch.no_grad():
        truth = model.forward(pictures).permute(0, 2, 3, 1).reshape(-1, 8)
    assert found.layer(-1).measurement.n == 12 * 16
    expected = float(MEASURES["anisotropy_1"].function(truth))
    assert found.value("anisotropy_1") == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pooling": "max"}, "pooling must be one of mean, tokens, cls, first, last, got 'max'"),
        ({"batch_size": 0}, "a batch has one input or more, got batch_size 0"),
        ({"measures": ["nothing"]}, "there is no measure 'nothing'"),
        ({"blocks": ["tail"]}, "there is no module 'tail' in Made; there are embedding, layer, layer.0"),
        ({"inputs": []}, "there is no input"),
        (
            {"inputs": ["3 4", ""]},
            r"input 1 \(counted from 0\) has no token besides padding and special ones",
        ),
    ],
)
def test_bad_options_say_what_to_do(change, message, without_shape_checks):
    settings = {"inputs": texts(5), "processor": Words(), **change}
    with pytest.raises(ValueError, match=message):
        profile_layers(made(0.0), **settings)


def test_hidden_states_that_are_not_finite_are_named():
    model = made(0.0)
    model.embedding.weight.data[7] = math.nan
    sentences = ["3 4", "5 6 7 8", "9"]
    with pytest.raises(ValueError, match=r"the hidden states of layer.0 hold NaN or infinity, for input 1 "):
        profile_layers(model, sentences, processor=Words(), measures=FAST)


def test_the_worked_example():
    table = torch.zeros(5, 2)
    table[2:] = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    found = profile_layers(
        Made(table, [Plus(torch.zeros(2))]),
        ["2", "3", "4"],
        processor=Words(),
        measures=["mean_cosine", "drift", "mean_norm"],
    )
    assert found.value("mean_cosine") == pytest.approx(math.sqrt(2) / 3, rel=1e-6)
    assert found.value("drift") == pytest.approx(1.201850, abs=1e-6)
    assert found.value("mean_norm") == pytest.approx(1.471405, abs=1e-6)


def test_a_model_that_was_compiled_before_is_seen():
    model = made(0.0, 2.0)
    compiled = torch.compile(model, backend="eager")
    compiled(torch.tensor([[0, 3, 1]]))  # compiled now, without hooks
    sentences = texts(30)
    found = profile_layers(compiled, sentences, processor=Words(), measures=FAST)
    assert found.layers == profile_layers(model, sentences, processor=Words(), measures=FAST).layers


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")
def test_gradient_checkpointing_changes_nothing():
    import transformers

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    model = transformers.BertModel(config)
    plain = profile_layers(model, texts(30), processor=Words(), measures=FAST)
    model.gradient_checkpointing_enable()
    assert profile_layers(model.train(), texts(30), processor=Words(), measures=FAST).layers == plain.layers
    assert model.training


def test_memory_does_not_grow_with_the_inputs():
    spot = Spot("", 0, "layer.0", "block", 0, 0, 3)
    layer = Gathering(spot, capacity=50, seed=0, precision="double")
    for start in range(0, 5 * BUFFER, 64):
        owners = torch.arange(start, start + 64)
        layer.add(torch.randn(64, 3), owners)
        assert sum(map(len, layer.waiting)) < BUFFER
        assert layer.state is None or len(layer.state.sample) <= 50
    assert layer.state.n == 5 * BUFFER


def test_one_string_is_no_list_of_texts(without_shape_checks):
    with pytest.raises(TypeError, match=r"inputs are a sequence of texts.*got one string; pass a list"):
        profile_layers(made(0.0), "3 4", processor=Words())


def test_a_model_that_differs_in_one_weight_is_another(tmp_path):
    settings = {"processor": Words(), "measures": ["mean_norm"], "path": tmp_path}
    before = profile_layers(made(0.0), texts(30), **settings)
    other = made(0.0)
    other.embedding.weight.data[19, 5] += 1.0  # the last number of a table of 120
    assert profile_layers(other, texts(30), **settings).key != before.key


def test_only_the_layers_asked_for_are_looked_at(monkeypatch):
    hooked = []
    register = nn.Module.register_forward_hook

    def counted(module, *given, **more):
        hooked.append(module)
        return register(module, *given, **more)

    whole = profile_layers(made(0.5, 1.0, 1.5), texts(40), processor=Words(), measures=FAST)
    monkeypatch.setattr(nn.Module, "register_forward_hook", counted)
    model = made(0.5, 1.0, 1.5)
    found = profile_layers(model, texts(40), processor=Words(), measures=FAST, layers=[-1, 1])
    assert found.layers == (whole.layer(1), whole.layer(3))
    scouting = 4  # three blocks and the model around them, in the pass that finds the layers
    assert hooked[scouting:] == [model.layer[0], model.layer[2]]
    with pytest.raises(ValueError, match=r"there is no layer 4; there are 0, 1, 2, 3, or -1"):
        profile_layers(model, texts(40), processor=Words(), layers=[4])
