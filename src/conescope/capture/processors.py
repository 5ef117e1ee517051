"""What makes a model's inputs ready: its tokenizer, its feature extractor or its image processor.

Each is loaded from the folder or hub name of the model. A folder without one, as a freshly initialized model
leaves it, gets the defaults that transformers has for the type of the model, at the sizes of its
configuration.
"""

from pathlib import Path
from typing import Any

from conescope._optional import require

SAVED = ("preprocessor_config.json", "processor_config.json")
WAVEFORM = ("wav2vec2", "hubert", "wavlm", "data2vec-audio", "sew", "sew-d", "unispeech", "unispeech-sat")


def tokenizer_of(source: str | None, title: str) -> Any:
    """Return the tokenizer of a model.

    Raises:
        ValueError: if the model has no name to find it by, or has none that loads.
    """
    if source is None:
        raise ValueError(
            f"{title} was given as a module, and has no name to find its tokenizer by; pass processor=..."
        )
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError) as problem:
        raise ValueError(
            f"{source!r} has no tokenizer that loads, so it can not read texts: {first_line(problem)}"
        ) from problem


def extractor_of(source: str | None, title: str, config: Any) -> Any:
    """Return the feature extractor of a model that reads sounds.

    Raises:
        ValueError: if it has none that loads, and its type has no default.
    """
    transformers = require("transformers", extra="hf")
    if _saved(source):
        return _loaded(transformers.AutoFeatureExtractor, source, "feature extractor", "sounds")
    kind = getattr(config, "model_type", "")
    if kind == "whisper":  # 100 frames of the spectrum a second, two of which make a frame of the encoder
        return transformers.WhisperFeatureExtractor(
            feature_size=config.num_mel_bins, chunk_length=config.max_source_positions // 50
        )
    if kind in WAVEFORM:
        return transformers.Wav2Vec2FeatureExtractor()
    raise ValueError(f"{title} has no feature extractor to read sounds with; pass processor=...")


def image_processor_of(source: str | None, title: str, config: Any) -> Any:
    """Return the image processor of a model, the one that needs no torchvision.

    Raises:
        ValueError: if it has none that loads, and no size of images to make a default one of.
    """
    require("PIL", extra="hf")
    transformers = require("transformers", extra="hf")
    default = getattr(transformers, "ViTImageProcessorPil", None)  # transformers 5; before, the slow one
    if _saved(source):
        choice: dict[str, Any] = {"use_fast": False} if default is None else {"backend": "pil"}
        return _loaded(transformers.AutoImageProcessor, source, "image processor", "images", **choice)
    size = getattr(getattr(config, "vision_config", config), "image_size", None)
    if size is None:
        raise ValueError(
            f"{title} has no image processor, and its configuration no image_size; pass processor=..."
        )
    height, width = (size, size) if isinstance(size, int) else size
    return (default or transformers.ViTImageProcessor)(size={"height": height, "width": width})


def first_line(problem: BaseException) -> str:
    """Return what an exception says in its first line, or its name."""
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]


def _saved(source: str | None) -> bool:
    """Return whether there is something to load: on the hub, or in the folder."""
    if source is None:
        return False
    folder = Path(source)
    return not folder.is_dir() or any((folder / name).is_file() for name in SAVED)


def _loaded(auto: Any, source: str | None, what: str, inputs: str, **choice: Any) -> Any:
    try:
        return auto.from_pretrained(source, **choice)
    except (OSError, ValueError, KeyError) as problem:
        raise ValueError(
            f"{source!r} has no {what} that loads, so it can not read {inputs}: {first_line(problem)}"
        ) from problem
