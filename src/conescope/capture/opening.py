"""A model by its name, and inputs made ready for it: which modality, which processor, which tower."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from conescope._optional import require
from conescope.capture.batch import Prepared
from conescope.capture.given import Given
from conescope.capture.stacks import unwrapped
from conescope.capture.texts import UNPADDABLE, Texts

Modality: TypeAlias = Literal["text", "audio", "image"]
TOWERS = {"text": "text_model", "image": "vision_model"}  # of models that read both, such as CLIP


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
            f"({_first_line(problem)})"
        ) from problem


def prepare(
    opened: Opened,
    inputs: Sequence[Any] | Tensor,
    *,
    modality: Modality | None = None,
    processor: Any = None,
    max_length: int | None = None,
) -> tuple[nn.Module, Prepared]:
    """Return the part of the model that reads these inputs, and the inputs made ready for it.

    Raises:
        ValueError: if there is no input, or they are not what the model reads.
    """
    if len(inputs) == 0:
        raise ValueError("there is no input to run the model on")
    if isinstance(inputs, Tensor) or isinstance(inputs[0], Mapping | Tensor):
        return opened.model, Given(inputs)
    kind = modality or modality_of(inputs[0])
    model = tower(opened.model, kind)
    if kind == "text":
        return model, _texts(opened, model, inputs, processor, max_length)
    raise NotImplementedError(kind)


def modality_of(given: Any) -> Modality:
    """Return what an input is, by its type, or by its suffix if it is a path."""
    if isinstance(given, str):
        return "text"
    raise NotImplementedError(given)


def tower(model: nn.Module, modality: Modality) -> nn.Module:
    """Return the part of a model that reads a modality: one tower of two, or the model itself."""
    inner = unwrapped(model)
    part = getattr(inner, TOWERS.get(modality, ""), None)
    both = all(isinstance(getattr(inner, name, None), nn.Module) for name in TOWERS.values())
    return part if both and isinstance(part, nn.Module) else model


def _texts(
    opened: Opened, model: nn.Module, texts: Sequence[str], tokenizer: Any, max_length: int | None
) -> Texts:
    config = getattr(unwrapped(model), "config", None)
    if tokenizer is None:
        tokenizer = _tokenizer(opened)
    start = None
    if getattr(config, "is_encoder_decoder", False):
        start = getattr(config, "decoder_start_token_id", None)
        start = start if start is not None else getattr(config, "pad_token_id", 0)
    return Texts(
        texts,
        tokenizer,
        max_length=max_length,
        start=start,
        padded=getattr(config, "model_type", "") not in UNPADDABLE,
    )


def _tokenizer(opened: Opened) -> Any:
    if opened.source is None:
        raise ValueError(
            f"{opened.title} was given as a module, and has no name to find its tokenizer by; pass "
            "processor=..."
        )
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(opened.source)
    except (OSError, ValueError, KeyError) as problem:
        raise ValueError(
            f"{opened.source!r} has no tokenizer that loads, so it can not read texts: {_first_line(problem)}"
        ) from problem


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw with a seed, and leave the caller's generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]
