"""Profiles against `output_hidden_states=True` on one input at a time: no hooks, no padding."""

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from conescope import profile_layers
from tests.profile.made import Words, texts

MEASURES = ("mean_norm", "mean_cosine", "anisotropy_1")
SMALL = {
    "vocab_size": 30,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
SIGHT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 16,
    "patch_size": 4,
}
HEARING = {
    **SMALL,
    "conv_dim": (16, 16),
    "conv_kernel": (10, 3),
    "conv_stride": (5, 2),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0}
WIDE = {"initializer_range": 0.3}  # so that layers differ
ENCODERS = {
    "Bert": SMALL | WIDE,
    "Roberta": SMALL | WIDE,
    "MPNet": SMALL | WIDE,
    "Electra": SMALL | WIDE | {"embedding_size": 16},
    "DistilBert": {"vocab_size": 30, "dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48},
    "Albert": SMALL | WIDE | {"embedding_size": 16, "num_hidden_layers": 3},
    "GPT2": {"vocab_size": 30, "n_embd": 32, "n_layer": 2, "n_head": 4},
    "Llama": SMALL | WIDE | {"num_key_value_heads": 2},
}
VISION = {  # how many tokens stand before those of the patches
    "ViT": (1, SIGHT),
    "DeiT": (2, SIGHT),  # [CLS] and the distillation token
    "Dinov2": (1, SIGHT | {"mlp_ratio": 2}),
    "Dinov2WithRegisters": (4, SIGHT | {"mlp_ratio": 2, "num_register_tokens": 3}),
    "Beit": (1, SIGHT | {"use_mask_token": True}),
    "CLIPVision": (1, SIGHT),
    "SiglipVision": (0, SIGHT),
}


def built(name, settings, base=None):
    torch.manual_seed(0)
    config = getattr(transformers, f"{base or name}Config")(**settings)
    return getattr(transformers, f"{name}Model")(config).eval()


def of_points(states, pooling):
    """Return the three measures by their definitions, of the hidden states (tokens, d) of each input."""
    points = torch.cat(states) if pooling == "tokens" else torch.stack([each.mean(dim=0) for each in states])
    points = points.double()
    norms = points.norm(dim=1)
    cosines = (points / norms[:, None]) @ (points / norms[:, None]).T
    n = len(points)
    sigma = torch.linalg.svdvals(points - points.mean(dim=0))
    return {
        "mean_norm": float(norms.mean()),
        "mean_cosine": float((cosines.sum() - n) / (n * (n - 1))),
        "anisotropy_1": float(sigma[0] ** 2 / sigma.square().sum()),
    }


def compare(model, inputs, truth, *, stacks=("",), kept=None, pooled=("mean", "tokens"), **settings):
    """Compare each layer with the truth, and batch 1 with batch 32.

    `truth` runs one input and gives, for each stack, its hidden states (1, tokens, d), the last one being
    what the stack returns. `kept` takes the tokens that count.
    """
    with torch.no_grad():
        seen = [truth(given) for given in inputs]
    for pooling in pooled:
        one, many = (
            profile_layers(
                model,
                inputs,
                pooling=pooling,
                measures=MEASURES,
                batch_size=size,
                intervals=False,
                **settings,
            )
            for size in (1, 32)
        )
        assert one.stacks() == tuple(stacks)
        for place, stack in enumerate(stacks):
            layers = one.of(stack)
            states = [each[place] for each in seen]
            depths = [*range(len(states[0]) - 1), layers[-1].depth]
            assert len(layers) - len(depths) == (layers[-1].kind == "final")
            for depth, by_input in zip(depths, zip(*states, strict=True), strict=True):
                counted = [
                    each[0] if kept is None else kept(each[0], stack, number)
                    for number, each in enumerate(by_input)
                ]
                for name, expected in of_points(counted, pooling).items():
                    found = one.value(name, depth, stack)
                    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6), (stack, depth, name)
        for mine, other in zip(one.layers, many.layers, strict=True):
            for here, there in zip(mine.measurement.values, other.measurement.values, strict=True):
                assert here.value == pytest.approx(there.value, rel=1e-5, abs=1e-6), (mine.module, here.name)


def ended(states, last):
    """Return hidden states with what the model returns in the place of the last of them."""
    return [*states[:-1], last]


def inner(states, stack, number):
    return states[1:-1]  # `Words` writes a special token before and after each text


def ids_of(text):
    return torch.tensor(Words()([text], False, None)["input_ids"])


@pytest.mark.parametrize("name", ENCODERS)
def test_text_models(name):
    model = built(name, ENCODERS[name])

    def truth(text):
        output = model(input_ids=ids_of(text), output_hidden_states=True)
        return [ended(output.hidden_states, output.last_hidden_state)]

    compare(model, texts(14), truth, kept=inner, processor=Words())


def test_t5_reads_a_text_on_both_sides():
    model = built("T5", T5 | {"vocab_size": 30})

    def truth(text):
        ids = ids_of(text)
        moved = torch.cat([torch.full((1, 1), 7), ids[:, :-1]], dim=1)
        output = model(input_ids=ids, decoder_input_ids=moved, output_hidden_states=True)
        return [
            ended(output.encoder_hidden_states, output.encoder_last_hidden_state),
            ended(output.decoder_hidden_states, output.last_hidden_state),
        ]

    def kept(states, stack, number):
        return states[1:-1] if stack == "encoder" else states[2:]  # one place later, and the last is gone

    model.config.decoder_start_token_id = 7
    compare(model, texts(14), truth, stacks=("encoder", "decoder"), kept=kept, processor=Words())


def test_bytes():
    model = built("T5", T5 | {"vocab_size": 384})
    tokenizer = transformers.ByT5Tokenizer()

    def truth(text):
        ids = torch.tensor([[*(byte + 3 for byte in text.encode()), 1]])  # a byte is its number plus 3
        moved = torch.cat([torch.zeros(1, 1, dtype=torch.long), ids[:, :-1]], dim=1)
        output = model(input_ids=ids, decoder_input_ids=moved, output_hidden_states=True)
        return [
            ended(output.encoder_hidden_states, output.encoder_last_hidden_state),
            ended(output.decoder_hidden_states, output.last_hidden_state),
        ]

    def kept(states, stack, number):
        return states[:-1] if stack == "encoder" else states[1:]

    words = ["a cat", "Zürich", "no", "the longest of them"] * 3
    words = [f"{word} {number}" for number, word in enumerate(words)]
    compare(model, words, truth, stacks=("encoder", "decoder"), kept=kept, processor=tokenizer)


def test_characters():
    """The blocks of CANINE see one position for four characters, [CLS] among them: all of them count."""
    model = built("Canine", {**SMALL, **WIDE, "num_hidden_layers": 3, "local_transformer_stride": 16})
    tokenizer = transformers.CanineTokenizer()

    def truth(text):
        output = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True)
        return [output.hidden_states[2:6]]  # behind the two of the characters

    words = [f"{number} cats went to the river" for number in range(8)] + [
        "so did I, and you, and all of us"
    ] * 2
    compare(model, words, truth, processor=tokenizer)


def sounds():
    generator = np.random.default_rng(0)
    return [generator.normal(size=length).astype(np.float32) * 0.1 for length in (2000, 3000) * 6]


@pytest.mark.parametrize("name", ["Wav2Vec2", "Hubert"])
def test_waveforms(name):
    model = built(name, HEARING)

    def truth(sound):
        waves = torch.from_numpy((sound - sound.mean()) / np.sqrt(sound.var() + 1e-7))[None]
        output = model(waves, output_hidden_states=True)
        return [ended(output.hidden_states, output.last_hidden_state)]

    compare(model, sounds(), truth)


WHISPER = {
    "vocab_size": 30,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_source_positions": 50,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "decoder_start_token_id": 5,
    "init_std": 0.3,
}


def test_a_window_of_sound_counts_as_far_as_it_is_filled():
    model = built("Whisper", WHISPER)
    extractor = transformers.WhisperFeatureExtractor(chunk_length=1)  # 50 frames of the encoder

    def truth(sound):
        features = extractor(sound, sampling_rate=16000, return_tensors="pt").input_features
        output = model(features, decoder_input_ids=torch.tensor([[5]]), output_hidden_states=True)
        return [
            ended(output.encoder_hidden_states, output.encoder_last_hidden_state),
        ]

    def kept(states, stack, number):
        # 2000 samples: 12.5 frames of 160, so 13, and 7 of the encoder; 3000: 18.75, 19, 10
        return states[: (7, 10)[number % 2]]

    encoder = model.get_encoder()
    compare(encoder, sounds(), truth, kept=kept, processor=extractor)


def test_a_decoder_of_sound_reads_its_start():
    model = built("Whisper", WHISPER)
    extractor = transformers.WhisperFeatureExtractor(chunk_length=1)
    found = profile_layers(model, sounds(), measures=MEASURES, intervals=False)
    assert found.stacks() == ("encoder", "decoder")
    assert found.layer(0, "decoder").constant  # the same token for all
    states = []
    with torch.no_grad():
        for sound in sounds():
            features = extractor(sound, sampling_rate=16000, return_tensors="pt").input_features
            states.append(model(features, decoder_input_ids=torch.tensor([[5]])).last_hidden_state[0])
    for name, expected in of_points(states, "mean").items():
        assert found.value(name, stack="decoder") == pytest.approx(expected, rel=1e-5, abs=1e-6)


def pictures(count=12):
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, size=(16, 16, 3), dtype=np.uint8) for _ in range(count)]


def pixels(picture):
    """What a ViT is given of an image that needs no change of size: 0 to 255 become -1 to 1."""
    return torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1


@pytest.mark.parametrize("name", VISION)
def test_vision_models(name):
    prefix, settings = VISION[name]
    model = built(name, settings | WIDE)

    def truth(picture):
        output = model(pixel_values=pixels(picture), output_hidden_states=True)
        assert output.last_hidden_state.shape[1] == prefix + 16
        return [ended(output.hidden_states, output.last_hidden_state)]

    compare(model, pictures(), truth, kept=lambda states, stack, number: states[prefix:])


def test_both_towers_of_clip():
    torch.manual_seed(0)
    config = transformers.CLIPConfig(
        text_config=SMALL | WIDE | {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0},
        vision_config=SIGHT | WIDE,
        projection_dim=16,
    )
    model = transformers.CLIPModel(config).eval()

    def seen(picture):
        output = model.vision_model(pixels(picture), output_hidden_states=True)
        return [ended(output.hidden_states, output.last_hidden_state)]

    def read(text):
        output = model.text_model(ids_of(text), output_hidden_states=True)
        return [ended(output.hidden_states, output.last_hidden_state)]

    compare(model, pictures(), seen, kept=lambda states, stack, number: states[1:])
    compare(model, texts(14), read, kept=inner, processor=Words())


class Recurrent(nn.Module):
    """Two LSTMs over embedded words, one of them with time first."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30, 16)
        self.first = nn.LSTM(16, 24, batch_first=True)
        self.second = nn.LSTM(24, 20)

    def forward(self, input_ids, attention_mask=None):
        states, _ = self.first(self.embedding(input_ids))
        return self.second(states.transpose(0, 1))[0].transpose(0, 1)


def test_an_lstm_of_ones_own():
    torch.manual_seed(0)
    model = Recurrent()

    def truth(text):
        embedded = model.embedding(ids_of(text))
        first = model.first(embedded)[0]
        return [[embedded, first, model.second(first[0][:, None])[0].transpose(0, 1)]]

    compare(model, texts(14), truth, kept=inner, processor=Words(), blocks=["first", "second"])


def test_a_cnn_of_ones_own():
    torch.manual_seed(0)
    model = nn.Module()
    model.stages = nn.ModuleList([nn.Conv2d(3, 8, 3), nn.Conv2d(8, 12, 3, stride=2)])
    model.forward = lambda given: model.stages[1](model.stages[0](given).relu())
    given = torch.randn(10, 3, 12, 12, generator=torch.Generator().manual_seed(1))

    def truth(picture):
        first = model.stages[0](picture[None])
        second = model.stages[1](first.relu())
        return [[maps.flatten(2).transpose(1, 2) for maps in (picture[None], first, second)]]

    compare(model, given, truth)
