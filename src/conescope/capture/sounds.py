"""Sounds as inputs of a model: as a spectrum in a window of fixed length, or as the waveform itself."""

import hashlib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from conescope.capture.batch import Batch, Tokens
from conescope.capture.texts import Texts
from conescope.capture.waves import read_sound


class Sounds:
    """Sounds for a model; a `Prepared`. Files are read again for each batch, so that memory does not grow.

    Where the extractor makes the spectrum of a fixed window (Whisper), what is longer is cut, and the rest of
    the window is padding: the model attends to it, as it was trained to, but it does not count. Of a
    sound of n samples, ceil(ceil(n / hop) / stride) frames of the encoder are real. Where the model reads
    the waveform (wav2vec 2.0, HuBERT), padding would change its numbers, so that only sounds of equal
    length stand in one batch.

    Args:
        sounds: at least one: paths of files, or samples of shape (samples,) at the sampling rate of the
            extractor, roughly in [-1, 1].
        extractor: feature extractor of transformers.
        hidden: the frames that the encoder makes of a window, for a model that reads windows.
        least: samples of the shortest sound that gives one frame.
        max_length: samples that are kept of a sound, at the rate of the extractor; None for all.
        prompt: tokens that start a decoder. They count, being all that it reads.
        transcripts: what the decoder reads in place of them, a text for each sound.

    Raises:
        FileNotFoundError, ValueError: naming the sound that is not readable, empty or too short, or if the
            extractor makes neither kind of input.
    """

    modality = "audio"

    def __init__(
        self,
        sounds: Sequence[Any],
        extractor: Any,
        *,
        hidden: int | None = None,
        least: int = 1,
        max_length: int | None = None,
        prompt: Sequence[int] | None = None,
        transcripts: Texts | None = None,
    ) -> None:
        if transcripts is not None and len(transcripts.sizes) != len(sounds):
            raise ValueError(
                f"each sound needs its transcript, got {len(transcripts.sizes)} for {len(sounds)} sounds"
            )
        self.sounds = sounds
        self.extractor = extractor
        self.rate = int(extractor.sampling_rate)
        self.name = extractor.model_input_names[0]
        self.hidden = hidden
        self.max_length = max_length
        self.prompt = prompt
        self.transcripts = transcripts
        self.padded = hidden is not None
        digest = hashlib.blake2b(repr((prompt, max_length)).encode(), digest_size=16)
        digest.update((transcripts.fingerprint if transcripts else "").encode())
        self.sizes = []
        for number in range(len(sounds)):
            samples = self._samples(number)
            if len(samples) < least:
                raise ValueError(
                    f"{_called(sounds[number], number)} has {len(samples)} samples at {self.rate} Hz, less "
                    f"than the {least} of one frame; leave it out"
                )
            digest.update(np.int64(len(samples)).tobytes() + samples.tobytes())
            self.sizes.append(len(samples) if hidden is None else self._real(len(samples)))
        first = self._features(0)
        if (first.ndim == 1) == (hidden is not None) or (hidden is not None and not self._windowed()):
            raise ValueError(
                f"{type(extractor).__name__} makes {self.name} of shape {tuple(first.shape)} for a sound, "
                "neither a waveform nor the spectrum of a window of fixed length, so padding can not be "
                "told; pass tensors that are ready for the model"
            )
        digest.update(first.numpy().tobytes())  # how the extractor is set shows in what it makes
        self.fingerprint = digest.hexdigest()

    def batch(self, numbers: Sequence[int]) -> Batch:
        """Return these sounds as one batch on the CPU."""
        arguments = {self.name: torch.stack([self._features(number) for number in numbers])}
        size = len(numbers)
        if self.hidden is None:
            return Batch(arguments, size)
        frames = torch.tensor([self.sizes[number] for number in numbers])
        real = torch.arange(self.hidden)[None] < frames[:, None]
        tokens = Tokens(real, torch.zeros_like(real))
        if self.transcripts is not None:
            spoken = self.transcripts.batch(numbers)
            arguments |= {name: ids for name, ids in spoken.arguments.items() if name.startswith("decoder_")}
            return Batch(arguments, size, tokens, spoken.decoded)
        if self.prompt is None:
            return Batch(arguments, size, tokens)
        ids = torch.tensor([list(self.prompt)] * size)
        arguments["decoder_input_ids"] = ids
        every = torch.ones_like(ids, dtype=torch.bool)
        return Batch(arguments, size, tokens, Tokens(every, ~every, ids))

    def _samples(self, number: int) -> Any:
        sound = self.sounds[number]
        if isinstance(sound, str | os.PathLike):
            samples = read_sound(Path(sound), self.rate)
        else:
            samples = np.asarray(sound, dtype=np.float32)
            if samples.ndim != 1:
                raise ValueError(
                    f"{_called(sound, number)} has shape {samples.shape}; samples of one channel or a path "
                    "are expected"
                )
        return samples[: self.max_length]

    def _features(self, number: int) -> Tensor:
        made = self.extractor(self._samples(number), sampling_rate=self.rate, return_tensors="pt")
        features: Tensor = made[self.name][0]
        return features

    def _windowed(self) -> bool:
        return hasattr(self.extractor, "nb_max_frames")

    def _real(self, samples: int) -> int:
        """Return how many frames of the encoder hold some of a sound."""
        if not self._windowed():
            return 0  # which the shape of what the extractor makes shows, with an error
        frames, hop = int(self.extractor.nb_max_frames), int(self.extractor.hop_length)
        stride = max(frames // (self.hidden or frames), 1)
        return min(math.ceil(math.ceil(samples / hop) / stride), frames // stride)


def receptive_field(config: Any) -> int:
    """Return how many samples the first frame of a stack of convolutions looks at; 1 without such a stack."""
    field = 1
    kernels, strides = getattr(config, "conv_kernel", ()), getattr(config, "conv_stride", ())
    for kernel, stride in reversed(list(zip(kernels, strides, strict=True))):
        field = (field - 1) * stride + kernel
    return field


def _called(sound: Any, number: int) -> str:
    return str(sound) if isinstance(sound, str | os.PathLike) else f"sound {number} (counted from 0)"
