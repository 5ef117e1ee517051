import numpy as np
import pytest
import torch
import transformers
from scipy.io import wavfile

from conescope.capture import Sounds, Texts
from conescope.capture.batch import ordered
from conescope.capture.sounds import receptive_field
from tests.profile.made import Words

RATE = 16000


def noise(*lengths):
    generator = np.random.default_rng(0)
    return [(generator.normal(size=length) * 0.1).astype(np.float32) for length in lengths]


def whisper():
    return transformers.WhisperFeatureExtractor(chunk_length=1)  # 16000 samples, 100 frames


@pytest.mark.parametrize(
    ("samples", "frames"),
    [(160, 1), (161, 1), (320, 1), (321, 2), (8000, 25), (15999, 50), (16000, 50), (20000, 50)],
)
def test_frames_of_a_window_that_are_real(samples, frames):
    """161 samples: ceil(161 / 160) = 2 frames, ceil(2 / 2) = 1 of the encoder; what is longer is cut."""
    prepared = Sounds(noise(samples, 400), whisper(), hidden=50)
    assert prepared.padded
    assert prepared.sizes == [frames, 2]  # 400 samples: 2.5, so 3, and ceil(1.5)
    tokens = prepared.batch([1, 0]).tokens
    assert tokens.real.sum(dim=1).tolist() == [2, frames]
    assert tokens.real.shape == (2, 50)
    assert tokens.real[0, :2].all()
    assert not tokens.special.any()


def test_the_extractor_calls_the_same_frames_real():
    lengths = (160, 1000, 7777, 15840, 16000)
    sounds = noise(*lengths)
    mask = whisper()(sounds, sampling_rate=RATE, return_attention_mask=True)["attention_mask"]
    found = Sounds(sounds, whisper(), hidden=50).sizes
    assert found == [-(-int(np.sum(row)) // 2) for row in mask]


def test_waveforms_of_equal_length_stand_together():
    sounds = noise(500, 700, 500, 700, 500)
    prepared = Sounds(sounds, transformers.Wav2Vec2FeatureExtractor())
    assert ordered(prepared, 2) == [[1, 3], [0, 2], [4]]
    batch = prepared.batch([0, 2])
    assert batch.tokens is None
    truth = np.stack([(s - s.mean()) / np.sqrt(s.var() + 1e-7) for s in (sounds[0], sounds[2])])
    torch.testing.assert_close(batch.arguments["input_values"], torch.from_numpy(truth), rtol=1e-5, atol=1e-5)
    assert list(batch.arguments) == ["input_values"]


def test_files_are_their_samples(tmp_path):
    (sound,) = noise(900)
    path = tmp_path / "a.wav"
    wavfile.write(path, RATE, sound)
    extractor = transformers.Wav2Vec2FeatureExtractor()
    read, given = Sounds([path, str(path)], extractor), Sounds([sound, sound], extractor)
    assert read.fingerprint == given.fingerprint
    assert torch.equal(read.batch([1]).arguments["input_values"], given.batch([0]).arguments["input_values"])


def test_what_changes_the_inputs_changes_the_fingerprint():
    one, two = noise(900, 900)
    kind = transformers.Wav2Vec2FeatureExtractor
    prints = [
        Sounds([one, two], kind()).fingerprint,
        Sounds([two, one], kind()).fingerprint,
        Sounds([one], kind()).fingerprint,
        Sounds([one, two], kind(do_normalize=False)).fingerprint,
        Sounds([one, two], kind(), max_length=800).fingerprint,
    ]
    assert len(set(prints)) == len(prints)
    assert Sounds([one, two], kind()).fingerprint == prints[0]


def test_max_length_cuts_samples():
    (sound,) = noise(900)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=False)
    cut = Sounds([sound], extractor, max_length=600)
    assert cut.sizes == [600]
    assert cut.batch([0]).arguments["input_values"][0].numpy().tolist() == sound[:600].tolist()


def test_a_decoder_reads_its_prompt_or_transcripts():
    sounds = noise(400, 800)
    prompt = Sounds(sounds, whisper(), hidden=50, prompt=[5, 9]).batch([0, 1])
    assert prompt.arguments["decoder_input_ids"].tolist() == [[5, 9], [5, 9]]
    assert prompt.decoded.real.all()
    assert not prompt.decoded.special.any()
    spoken = Texts(["7 8", "6"], Words(), start=5)
    batch = Sounds(sounds, whisper(), hidden=50, prompt=[5], transcripts=spoken).batch([1, 0])
    # Words: 0 6 1 and 0 7 8 1, moved by one place behind 5
    assert batch.arguments["decoder_input_ids"].tolist() == [[5, 0, 6, 0], [5, 0, 7, 8]]
    assert batch.decoded.real.tolist() == [[True, True, True, False], [True] * 4]
    assert batch.decoded.special.tolist() == [[True, True, False, False], [True, True, False, False]]
    assert "input_ids" not in batch.arguments
    with pytest.raises(ValueError, match="each sound needs its transcript, got 2 for 1 sounds"):
        Sounds(sounds[:1], whisper(), hidden=50, transcripts=spoken)


def test_the_receptive_field_is_the_shortest_sound_a_model_takes():
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=32,
        conv_dim=(8, 8, 8),
        conv_kernel=(10, 3, 2),
        conv_stride=(5, 2, 2),
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    model = transformers.Wav2Vec2Model(config).eval()
    field = receptive_field(config)
    assert field == 30  # one frame needs 2 before it, these (2 - 1) 2 + 3 = 5, these (5 - 1) 5 + 10 = 30
    with torch.no_grad():
        assert model(torch.randn(1, field)).last_hidden_state.shape[1] == 1
        with pytest.raises(RuntimeError):
            model(torch.randn(1, field - 1))
    assert receptive_field(transformers.Wav2Vec2Config()) == 400  # 25 ms at 16 kHz, as its paper says


def test_errors_name_the_sound(tmp_path):
    extractor = transformers.Wav2Vec2FeatureExtractor()
    path = tmp_path / "short.wav"
    wavfile.write(path, RATE, noise(30)[0])
    with pytest.raises(ValueError, match=r"short\.wav has 30 samples at 16000 Hz, less than the 400 of one"):
        Sounds([path], extractor, least=400)
    with pytest.raises(ValueError, match=r"sound 1 \(counted from 0\) has 3 samples"):
        Sounds(noise(500, 3), extractor, least=400)
    with pytest.raises(ValueError, match=r"sound 0 \(counted from 0\) has shape \(2, 50\); samples of one"):
        Sounds([np.zeros((2, 50))], extractor)


def test_what_is_neither_waveform_nor_window_is_refused():
    with pytest.raises(ValueError, match=r"makes input_features of shape \(80, 100\) for a sound, neither"):
        Sounds(noise(500), whisper())
    with pytest.raises(ValueError, match=r"makes input_values of shape \(500,\) for a sound, neither"):
        Sounds(noise(500), transformers.Wav2Vec2FeatureExtractor(), hidden=50)
