from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from scipy.io import wavfile
from torch import nn

from conescope.capture import Given, Images, Sounds, Texts, modality_of, open_model, prepare
from tests.profile.made import Words

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
SIGHT = SMALL | {"image_size": 16, "patch_size": 4}
START = 5


def bert():
    return transformers.BertModel(transformers.BertConfig(vocab_size=30, **SMALL))


def vit():
    return transformers.ViTModel(transformers.ViTConfig(**SIGHT))


def wav2vec():
    config = transformers.Wav2Vec2Config(
        **SMALL, conv_dim=(8, 8), conv_kernel=(4, 4), conv_stride=(2, 2), num_conv_pos_embedding_groups=4
    )
    return transformers.Wav2Vec2Model(config)


def clip():
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
    config = transformers.CLIPConfig(text_config={"vocab_size": 30, **SMALL, **ends}, vision_config=SIGHT)
    return transformers.CLIPModel(config)


def whisper(kind="WhisperModel"):
    config = transformers.WhisperConfig(
        vocab_size=30,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        num_mel_bins=40,
        max_source_positions=100,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
        decoder_start_token_id=START,
        begin_suppress_tokens=None,
    )
    return getattr(transformers, kind)(config).eval()


def noise(length=900):
    return np.random.default_rng(0).normal(size=length).astype(np.float32)


def picture(size=16):
    return np.random.default_rng(0).integers(0, 256, size=(size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("given", "modality"),
    [
        ("a text.wav", "text"),
        (Path("a.WAV"), "audio"),
        (Path("b/a.flac"), "audio"),
        (Path("a.jpeg"), "image"),
        (np.zeros(9), "audio"),
        (torch.zeros(9), "audio"),
        (np.zeros((4, 4, 3)), "image"),
        (torch.zeros(3, 4, 4), "image"),
        (Image.new("L", (3, 4)), "image"),
    ],
)
def test_what_an_input_is(given, modality):
    assert modality_of(given) == modality


def test_what_an_input_is_not():
    with pytest.raises(
        ValueError, match=r"a\.doc: can not tell what this is by its suffix; sounds are named \.wav"
    ):
        modality_of(Path("a.doc"))
    with pytest.raises(ValueError, match="an input of type int is neither text nor sound nor image"):
        modality_of(7)


def test_each_modality_has_its_kind_of_inputs(tmp_path):
    wavfile.write(tmp_path / "a.wav", 16000, noise())
    Image.fromarray(picture()).save(tmp_path / "a.png")
    cases = [
        (bert(), ["3 4"], {"processor": Words()}, Texts),
        (wav2vec(), [noise()], {}, Sounds),
        (wav2vec(), [tmp_path / "a.wav"], {}, Sounds),
        (wav2vec(), [str(tmp_path / "a.wav")], {"modality": "audio"}, Sounds),
        (wav2vec(), torch.from_numpy(noise())[None], {"modality": "audio"}, Sounds),
        (vit(), [picture()], {}, Images),
        (vit(), [str(tmp_path / "a.png")], {"modality": "image"}, Images),
        (vit(), torch.zeros(2, 3, 16, 16), {}, Given),
        (nn.Linear(2, 2), [{"input": torch.zeros(2)}], {}, Given),
    ]
    for model, inputs, settings, kind in cases:
        part, prepared = prepare(open_model(model), inputs, **settings)
        assert type(prepared) is kind
        assert part is model
        arguments = dict(prepared.batch([0]).arguments)
        nameless = [arguments.pop("")] if "" in arguments else []
        with torch.no_grad():
            part(*nameless, **arguments)  # what is prepared is what the model takes


def test_the_tower_of_the_modality():
    model = clip()
    for inputs, settings, tower in (
        (["3 4"], {"processor": Words()}, model.text_model),
        ([picture()], {}, model.vision_model),
    ):
        assert prepare(open_model(model), inputs, **settings)[0] is tower


@pytest.mark.parametrize(
    ("build", "given", "message"),
    [
        (bert, picture(), r"BertModel \(BertModel\) takes text, and these inputs are of modality image"),
        (vit, "a text", "takes image, and these inputs are of modality text; give it image inputs"),
        (wav2vec, "a text", "takes audio, and these inputs are of modality text"),
        (whisper, picture(), "takes audio, and these inputs are of modality image"),
        (
            clip,
            noise(),
            "takes text and image, and these inputs are of modality audio; give it text or image",
        ),
    ],
)
def test_a_model_says_what_it_takes(build, given, message):
    with pytest.raises(ValueError, match=message):
        prepare(open_model(build()), [given])


def test_inputs_that_do_not_fit_are_errors():
    with pytest.raises(ValueError, match="there is no input to run the model on"):
        prepare(open_model(bert()), [])
    with pytest.raises(ValueError, match=r"input 1 \(counted from 0\) is of type PosixPath, not a text"):
        prepare(open_model(bert()), ["3", Path("/a.txt")], processor=Words())
    with pytest.raises(ValueError, match=r"find its tokenizer by; pass processor=\.\.\."):
        prepare(open_model(bert()), ["3"])
    with pytest.raises(ValueError, match="transcripts go with sounds, and these inputs are of modality text"):
        prepare(open_model(bert()), ["3"], processor=Words(), transcripts=["4"])
    with pytest.raises(ValueError, match="has no decoder to read transcripts; leave them out"):
        prepare(open_model(wav2vec()), [noise()], tokenizer=Words(), transcripts=["4"])
    with pytest.raises(ValueError, match="has 9 samples at 16000 Hz, less than the 10 of one frame"):
        prepare(open_model(wav2vec()), [noise(9)])  # (4 - 1) 2 + 4 = 10


def test_defaults_of_a_module_fit_its_sizes():
    _, sounds = prepare(open_model(whisper()), [noise(16000)])
    assert sounds.batch([0]).arguments["input_features"].shape == (1, 40, 200)  # 40 bands, 2 x 100 frames
    assert sounds.sizes == [50]  # a second of the two
    _, images = prepare(open_model(vit()), [picture(64)])
    assert images.batch([0]).arguments["pixel_values"].shape == (1, 3, 16, 16)


def test_what_a_folder_holds_is_taken_and_else_the_default(tmp_path):
    vit().save_pretrained(tmp_path)
    kind = getattr(transformers, "ViTImageProcessorPil", None) or transformers.ViTImageProcessor
    bare = prepare(open_model(tmp_path), [picture()])[1].batch([0]).arguments["pixel_values"]
    kind(size={"height": 16, "width": 16}, image_mean=[0.0] * 3, image_std=[1.0] * 3).save_pretrained(
        tmp_path
    )
    own = prepare(open_model(tmp_path), [picture()])[1].batch([0]).arguments["pixel_values"]
    torch.testing.assert_close(own, (bare + 1) / 2, rtol=1e-5, atol=1e-6)  # -1 to 1, and 0 to 1
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "NoSuchProcessor"}')
    with pytest.raises(ValueError, match="has no image processor that loads, so it can not read images"):
        prepare(open_model(tmp_path), [picture()])


def test_the_extractor_of_a_folder(tmp_path):
    wav2vec().save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(tmp_path)
    _, prepared = prepare(open_model(tmp_path), [noise()])
    assert prepared.batch([0]).arguments["input_values"][0].numpy().tolist() == noise().tolist()


def test_a_type_without_a_default_asks_for_a_processor():
    model = wav2vec()
    model.config.model_type = "another"
    with pytest.raises(ValueError, match=r"no feature extractor to read sounds with; pass processor=\.\.\."):
        prepare(open_model(model), [noise()])
    model = transformers.ResNetModel(
        transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic")
    )
    with pytest.raises(ValueError, match=r"its configuration no image_size; pass processor=\.\.\."):
        prepare(open_model(model), [picture()])


def test_a_decoder_of_sound_starts_as_the_generation_config_says(tmp_path):
    def start(model):
        _, prepared = prepare(open_model(model), [noise()])
        return prepared.batch([0]).arguments["decoder_input_ids"].tolist()

    assert start(whisper()) == [[START]]
    model = whisper("WhisperForConditionalGeneration")
    model.generation_config.forced_decoder_ids = [[2, 8], [1, 7]]
    assert start(model) == [[START, 7, 8]]
    model.generation_config.forced_decoder_ids = [[1, None], [2, 8]]  # a language that the sound decides
    assert start(model) == [[START]]
    whisper().save_pretrained(tmp_path)
    (tmp_path / "generation_config.json").write_text('{"forced_decoder_ids": [[1, 7]]}')
    assert start(tmp_path) == [[START, 7]]


def test_transcripts_are_what_the_decoder_reads():
    model = whisper()
    spoken = {"transcripts": ["7 8", "9"], "tokenizer": Words()}
    part, prepared = prepare(open_model(model), [noise(), noise(3000)], **spoken)
    both = prepared.batch([0, 1])
    with torch.no_grad():
        together = part(**both.arguments).last_hidden_state
        for number, ids in enumerate(([START, 0, 7, 8], [START, 0, 9])):
            features = both.arguments["input_features"][number : number + 1]
            alone = model(features, decoder_input_ids=torch.tensor([ids])).last_hidden_state
            real = both.decoded.real[number]
            torch.testing.assert_close(together[number][real], alone[0], rtol=1e-5, atol=1e-5)


def test_an_untrained_model_is_drawn_by_its_seed():
    model = bert()
    one, same, other = (open_model(model, untrained=True, seed=seed).model for seed in (1, 1, 2))
    name = "encoder.layer.0.output.dense.weight"
    weights = [each.get_parameter(name) for each in (one, same, other, model)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[3])
    with pytest.raises(ValueError, match="Linear has no configuration to build an untrained model from"):
        open_model(nn.Linear(2, 2), untrained=True)


def test_a_model_by_its_folder(tmp_path):
    model = bert()
    model.save_pretrained(tmp_path / "mine")
    opened = open_model(tmp_path / "mine")
    assert opened.title == "mine"
    assert torch.equal(opened.model.get_parameter("pooler.dense.weight"), model.pooler.dense.weight)
    with pytest.raises(ValueError, match=r"no model .*: neither a folder with a transformers model nor one"):
        open_model(tmp_path)
