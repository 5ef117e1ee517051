import numpy as np
import pytest
from scipy.io import wavfile

from conescope.capture.waves import read_sound

RATE = 16000
# a ramp in each type, and what it means: the least integer is -1, silence is 0 (128 where there is no sign)
WRITTEN = {
    "int16": (np.array([0, 16384, -32768, 8192], dtype=np.int16), [0.0, 0.5, -1.0, 0.25]),
    "int32": (np.array([0, 2**30, -(2**31), 2**29], dtype=np.int32), [0.0, 0.5, -1.0, 0.25]),
    "uint8": (np.array([128, 192, 0, 160], dtype=np.uint8), [0.0, 0.5, -1.0, 0.25]),
    "float32": (np.array([0, 0.5, -1, 0.25], dtype=np.float32), [0.0, 0.5, -1.0, 0.25]),
}


def without_soundfile(monkeypatch):
    def missing(package, *, extra):
        raise ImportError(f"this needs the package {package}: pip install 'conescope[{extra}]'")

    monkeypatch.setattr("conescope.capture.waves.require", missing)


@pytest.mark.parametrize("by_scipy", [False, True])
@pytest.mark.parametrize("kind", WRITTEN)
def test_samples_are_what_was_written(tmp_path, monkeypatch, kind, by_scipy):
    written, meant = WRITTEN[kind]
    wavfile.write(tmp_path / "a.wav", RATE, written)
    if by_scipy:
        without_soundfile(monkeypatch)
    assert read_sound(tmp_path / "a.wav", RATE).tolist() == meant


def test_channels_are_averaged(tmp_path):
    wavfile.write(tmp_path / "a.wav", RATE, np.array([[0.5, 0.25], [-1, 0]], dtype=np.float32))
    assert read_sound(tmp_path / "a.wav", RATE).tolist() == [0.375, -0.5]


def test_a_tone_keeps_its_pitch_at_another_rate(tmp_path):
    """A second of 440 Hz at 8 kHz is 440 Hz at 16 kHz, but for the edges of the filter."""
    before, after = (np.arange(rate) / rate for rate in (8000, RATE))
    wavfile.write(tmp_path / "a.wav", 8000, np.sin(2 * np.pi * 440 * before).astype(np.float32))
    found = read_sound(tmp_path / "a.wav", RATE)
    assert len(found) == RATE
    inside = slice(500, -500)
    assert np.abs(found - np.sin(2 * np.pi * 440 * after))[inside].max() < 2e-3


def test_flac_reads_as_wav_does(tmp_path, monkeypatch):
    soundfile = pytest.importorskip("soundfile")
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, size=900, dtype=np.int16)
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / name, samples, RATE, subtype="PCM_16")
    found = [read_sound(tmp_path / name, RATE) for name in ("a.wav", "a.flac")]
    assert found[0].tolist() == found[1].tolist()
    assert found[0].tolist() == (samples / 2**15).tolist()
    without_soundfile(monkeypatch)
    with pytest.raises(ImportError, match=r"needs the package soundfile: pip install 'conescope\[hf\]'"):
        read_sound(tmp_path / "a.flac", RATE)


@pytest.mark.parametrize("by_scipy", [False, True])
def test_files_that_hold_no_sound_are_named(tmp_path, monkeypatch, by_scipy):
    (tmp_path / "text.wav").write_text("not a sound, but long enough to have been the head of one" * 3)
    wavfile.write(tmp_path / "none.wav", RATE, np.zeros(0, dtype=np.int16))
    if by_scipy:
        without_soundfile(monkeypatch)
    with pytest.raises(ValueError, match=r"text\.wav: not readable as a sound: "):
        read_sound(tmp_path / "text.wav", RATE)
    with pytest.raises(ValueError, match=r"none\.wav: the sound is empty; leave it out"):
        read_sound(tmp_path / "none.wav", RATE)
    with pytest.raises(FileNotFoundError, match=r"no file .*gone\.wav"):
        read_sound(tmp_path / "gone.wav", RATE)
