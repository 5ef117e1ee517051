"""Sound files -> samples: one channel, at the rate that is asked for."""

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from conescope._optional import require

SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")


def read_sound(path: Path, rate: int) -> Any:
    """Return the samples of a file as float32 in [-1, 1], shape (samples,).

    Channels are averaged; another sampling rate than `rate`, in Hz, is changed to it by a polyphase filter
    (`scipy.signal.resample_poly`). Files are read by soundfile, and WAV files without it by scipy.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming a file that is not readable or empty.
        ImportError: if a file that is not WAV needs soundfile.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    samples, found = _decoded(path)
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    if samples.size == 0:
        raise ValueError(f"{path}: the sound is empty; leave it out")
    if found != rate:
        from scipy.signal import resample_poly

        common = math.gcd(found, rate)
        samples = resample_poly(samples, rate // common, found // common)
    return np.ascontiguousarray(samples, dtype=np.float32)


def _decoded(path: Path) -> tuple[Any, int]:
    try:
        soundfile = require("soundfile", extra="hf")
    except (ImportError, OSError):  # OSError: the package is there, and its library is not
        if path.suffix.lower() != ".wav":
            raise
        return _by_scipy(path)
    try:
        samples, rate = soundfile.read(path, dtype="float32")
    except (soundfile.SoundFileError, OSError) as problem:
        raise ValueError(f"{path}: not readable as a sound: {problem}") from problem
    return samples, int(rate)


def _by_scipy(path: Path) -> tuple[Any, int]:
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks besides the samples
            rate, samples = wavfile.read(path)
    except (ValueError, OSError, EOFError) as problem:
        raise ValueError(f"{path}: not readable as a sound: {problem}") from problem
    if samples.dtype == np.uint8:  # the one type that has no sign: silence is 128
        samples = (samples.astype(np.float32) - 128) / 128
    elif samples.dtype.kind == "i":
        samples = samples / np.float64(-int(np.iinfo(samples.dtype).min))
    return samples.astype(np.float32), int(rate)
