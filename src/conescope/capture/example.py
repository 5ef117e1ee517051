"""Arguments for one forward pass of a model, of the right shapes and without meaning."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from conescope.capture.stacks import unwrapped

POSITIONS = ("max_position_embeddings", "n_positions", "max_target_positions")
RESERVED = 2  # positions that RoBERTa and its like never use
MARGIN = 400  # samples before the first frame of a sound is complete


def example_of(model: nn.Module, tokens: int) -> dict[str, Any]:
    """Return the arguments of a forward pass of a transformers model over one input.

    Texts have `tokens` tokens, or as many as the model has positions, if that is less; sounds of raw
    samples have about as many frames. Images and spectrograms have the size that the model is made for.

    Raises:
        ValueError: if the model does not say what it takes.
    """
    inner = unwrapped(model)
    config = getattr(inner, "config", None)
    main = getattr(inner, "main_input_name", None)
    made: dict[str, Any] = {}
    if config is not None and main == "pixel_values":
        made = _image(config)
    elif config is not None and main == "input_features" and hasattr(config, "max_source_positions"):
        made = {main: torch.zeros(1, config.num_mel_bins, 2 * config.max_source_positions)}
    elif config is not None and main == "input_values":
        made = {main: _sound(config, tokens)}
    elif config is not None and main == "input_ids":
        text = getattr(config, "text_config", config)
        made = {main: _ids(text, tokens)}
        if hasattr(config, "vision_config"):
            made |= _image(config.vision_config)
    if not made:
        raise ValueError(
            f"{type(inner).__name__} does not say what it takes; pass example=... with the arguments of a "
            "forward pass over one input, each tensor with a batch axis of 1"
        )
    if getattr(config, "is_encoder_decoder", False):
        made["decoder_input_ids"] = _ids(config, tokens)
    return made


def repeated(example: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return the arguments for `count` times the first input; what is no tensor stays as it is."""
    return {
        name: value[:1].expand(count, *value.shape[1:]) if isinstance(value, Tensor) else value
        for name, value in example.items()
    }


def _ids(config: Any, tokens: int) -> Tensor:
    limits = [getattr(config, name, None) for name in POSITIONS]
    most = min((limit for limit in limits if isinstance(limit, int)), default=tokens + RESERVED) - RESERVED
    vocabulary: int = config.vocab_size
    padding = getattr(config, "pad_token_id", None)
    word = vocabulary // 2
    return torch.full((1, max(min(tokens, most), 1)), word + (word == padding))


def _image(config: Any) -> dict[str, Any]:
    size = config.image_size
    height, width = (size, size) if isinstance(size, int) else size
    return {"pixel_values": torch.zeros(1, getattr(config, "num_channels", 3), height, width)}


def _sound(config: Any, tokens: int) -> Tensor:
    if hasattr(config, "num_mel_bins") and hasattr(config, "max_length"):  # a spectrogram, as in AST
        return torch.zeros(1, config.max_length, config.num_mel_bins)
    # A constant sound would be divided by its own zero variance where a model normalizes it.
    step = math.prod(getattr(config, "conv_stride", (320,)))
    return torch.linspace(0, 100, step * tokens + MARGIN).sin()[None]
