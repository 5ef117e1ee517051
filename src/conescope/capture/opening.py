"""A model by its name, and inputs made ready for it: which processor, which settings."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from conescope._optional import require
from conescope.capture.batch import Prepared
from conescope.capture.given import Given
from conescope.capture.images import Images, patch_of, prefix_tokens
from conescope.capture.modality import Modality, check_reads, modality_of, tower
from conescope.capture.processors import extractor_of, first_line, image_processor_of, tokenizer_of
from conescope.capture.sounds import Sounds, receptive_field
from conescope.capture.stacks import unwrapped
from conescope.capture.texts import UNPADDABLE, Texts

__all__ = ["Modality", "Opened", "open_model", "prepare"]


class Opened(NamedTuple):
    """A model, what to call it, and the folder or hub name from which its processor can be had."""

    model: nn.Module
    title: str
    source: str | None


def open_model(model: str | Path | nn.Module, *, untrained: bool = False, seed: int = 0) -> Opened:
    """Return a model by its folder or hub name, or a module as it is.

    `untrained` gives the same architecture with fresh weights, drawn with the seed.

    Raises:
        ValueError: if there is no such model, or a module has no configuration to build its like from.
    """
    if isinstance(model, nn.Module):
        inner = unwrapped(model)
        config = getattr(inner, "config", None)
        source = getattr(config, "_name_or_path", "") or None
        title = Path(source).name if source else type(inner).__name__
        if not untrained:
            return Opened(model, title, source)
        fresh = getattr(type(inner), "_from_config", None)
        if config is None or fresh is None:
            raise ValueError(
                f"{type(inner).__name__} has no configuration to build an untrained model from; build one "
                "and profile it"
            )
        with _seeded(seed):
            return Opened(fresh(config), title, source)
    require("transformers", extra="hf")
    from transformers import AutoConfig, AutoModel

    name = str(model)
    title = Path(name).name or name
    try:
        if untrained:
            config = AutoConfig.from_pretrained(name)
            with _seeded(seed):
                return Opened(AutoModel.from_config(config), title, name)  # type: ignore[no-untyped-call]
        return Opened(AutoModel.from_pretrained(name), title, name)
    except (OSError, ValueError, KeyError) as problem:
        raise ValueError(
            f"no model {name!r}: neither a folder with a transformers model nor one that the hub has "
            f"({first_line(problem)})"
        ) from problem


def prepare(
    opened: Opened,
    inputs: Sequence[Any] | Tensor,
    *,
    modality: Modality | None = None,
    processor: Any = None,
    max_length: int | None = None,
    transcripts: Sequence[str] | None = None,
    tokenizer: Any = None,
) -> tuple[nn.Module, Prepared]:
    """Return the part of the model that reads these inputs, and the inputs made ready for it.

    Args:
        opened: a model.
        inputs: strings are texts; a `pathlib.Path` is a sound or an image by its suffix; arrays of one
            dimension are sounds, other arrays and PIL images are images. Tensors, and mappings of names to
            tensors, go to the model as they are. With a modality given, strings are paths of sounds or
            images, and tensors are treated as arrays.
        modality: text, audio or image; None goes by the first input.
        processor: tokenizer, feature extractor or image processor, or a processor that holds it; None
            takes the model's own, or the default of its type where its folder has none.
        max_length: tokens of a text or samples of a sound that are kept; None for all that the model takes.
        transcripts: of sounds, for the decoder of a speech model; None gives it its start tokens only.
        tokenizer: of the transcripts; None takes the model's own.

    Raises:
        FileNotFoundError, ValueError: if there is no input, or one is not what the model reads.
    """
    if isinstance(inputs, str):
        raise TypeError("inputs are a sequence of texts, or of paths, got one string; pass a list")
    if len(inputs) == 0:
        raise ValueError("there is no input to run the model on")
    if isinstance(inputs[0], Mapping) or (modality is None and isinstance(inputs[0], Tensor)):
        return opened.model, Given(inputs)
    kind = modality or modality_of(inputs[0])
    model = tower(opened.model, kind)
    check_reads(opened.model, opened.title, kind)
    if transcripts is not None and kind != "audio":
        raise ValueError(f"transcripts go with sounds, and these inputs are of modality {kind}")
    given = list(inputs)
    if kind == "text":
        return model, _texts(opened, model, given, processor, max_length)
    if kind == "image":
        return model, _images(opened, model, given, processor)
    spoken = (transcripts, _part(processor, "tokenizer") if tokenizer is None else tokenizer)
    return model, _sounds(opened, model, given, _part(processor, "feature_extractor"), max_length, *spoken)


def _texts(
    opened: Opened, model: nn.Module, texts: Sequence[Any], tokenizer: Any, max_length: int | None
) -> Texts:
    wrong = [number for number, text in enumerate(texts) if not isinstance(text, str)]
    if wrong:
        raise ValueError(
            f"input {wrong[0]} (counted from 0) is of type {type(texts[wrong[0]]).__name__}, not a text; all "
            "inputs of a profile are of one modality"
        )
    config = getattr(unwrapped(model), "config", None)
    if tokenizer is None:
        tokenizer = tokenizer_of(opened.source, opened.title)
    return Texts(
        texts,
        _part(tokenizer, "tokenizer"),
        max_length=max_length,
        start=_start(config) if getattr(config, "is_encoder_decoder", False) else None,
        padded=getattr(config, "model_type", "") not in UNPADDABLE,
    )


def _images(opened: Opened, model: nn.Module, images: Sequence[Any], processor: Any) -> Images:
    config = getattr(unwrapped(model), "config", None)
    if processor is None:
        processor = image_processor_of(opened.source, opened.title, config)
    return Images(
        images,
        _part(processor, "image_processor"),
        patch=patch_of(config),
        prefix=prefix_tokens(unwrapped(model)),
    )


def _sounds(
    opened: Opened,
    model: nn.Module,
    sounds: Sequence[Any],
    extractor: Any,
    max_length: int | None,
    transcripts: Sequence[str] | None,
    tokenizer: Any,
) -> Sounds:
    inner = unwrapped(model)
    config = getattr(inner, "config", None)
    if extractor is None:
        extractor = extractor_of(opened.source, opened.title, config)
    windows = hasattr(extractor, "nb_max_frames")
    decodes = "decoder_input_ids" in signature(inner.forward).parameters
    spoken = None
    if transcripts is not None:
        if not decodes:
            raise ValueError(f"{opened.title} has no decoder to read transcripts; leave them out")
        if tokenizer is None:
            tokenizer = tokenizer_of(opened.source, opened.title)
        most = getattr(config, "max_target_positions", None) or tokenizer.model_max_length
        most = min(most, tokenizer.model_max_length)
        spoken = Texts(transcripts, tokenizer, max_length=most, start=_start(config))
    return Sounds(
        sounds,
        extractor,
        hidden=getattr(config, "max_source_positions", None) if windows else None,
        least=extractor.hop_length if windows else receptive_field(config),
        max_length=max_length,
        prompt=_prompt(inner, opened.source) if decodes else None,
        transcripts=spoken,
    )


def _part(processor: Any, name: str) -> Any:
    """Return the one of several processors that is meant, where one holds several."""
    return getattr(processor, name, processor)


def _start(config: Any) -> int:
    start = getattr(config, "decoder_start_token_id", None)
    return int(start if start is not None else getattr(config, "pad_token_id", 0))


def _prompt(model: nn.Module, source: str | None) -> list[int]:
    """Return the tokens that a decoder starts with: up to the first that depends on the input."""
    generation = getattr(model, "generation_config", None)
    if generation is None and source is not None and (Path(source) / "generation_config.json").is_file():
        from transformers import GenerationConfig

        generation = GenerationConfig.from_pretrained(source)
    config: Any = model.config
    forced = getattr(generation, "forced_decoder_ids", None) or getattr(config, "forced_decoder_ids", None)
    known = takewhile(lambda pair: pair[1] is not None, sorted(forced or [], key=lambda pair: pair[0]))
    return [_start(config), *(int(token) for _, token in known)]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw with a seed, and leave the caller's generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
