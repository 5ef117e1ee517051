"""What an input is, text, sound or image, and which part of a model reads it."""

from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from torch import Tensor, nn

from conescope.capture.images import IMAGES
from conescope.capture.stacks import unwrapped
from conescope.capture.waves import SOUNDS

Modality: TypeAlias = Literal["text", "audio", "image"]
TOWERS: dict[Modality, str] = {"text": "text_model", "image": "vision_model"}  # of models that read both
READS: dict[str, Modality] = {  # by what models of transformers call their main input
    "input_ids": "text",
    "input_features": "audio",
    "input_values": "audio",
    "pixel_values": "image",
}


def modality_of(given: Any) -> Modality:
    """Return what an input is, by its type, or by its suffix if it is a path.

    Raises:
        ValueError: if it is neither text, sound nor image.
    """
    if isinstance(given, str):
        return "text"
    if isinstance(given, Path):
        suffix = given.suffix.lower()
        if suffix in SOUNDS:
            return "audio"
        if suffix in IMAGES:
            return "image"
        raise ValueError(
            f"{given}: can not tell what this is by its suffix; sounds are named {', '.join(SOUNDS)}, images "
            f"{', '.join(IMAGES)}; or say modality audio or image"
        )
    if isinstance(given, np.ndarray | Tensor):
        return "audio" if given.ndim == 1 else "image"
    if hasattr(given, "convert") and hasattr(given, "size"):  # a PIL image, without importing Pillow
        return "image"
    raise ValueError(
        f"an input of type {type(given).__name__} is neither text nor sound nor image; give strings, "
        "pathlib.Path, arrays or PIL images, or tensors for a module of your own"
    )


def tower(model: nn.Module, modality: Modality) -> nn.Module:
    """Return the part of a model that reads a modality: one tower of two, or the model itself."""
    return _towers(unwrapped(model)).get(modality, model)


def check_reads(model: nn.Module, title: str, modality: Modality) -> None:
    """Raise if a model of transformers takes something else; what others take is not known.

    Raises:
        ValueError: saying what it takes.
    """
    inner = unwrapped(model)
    known = READS.get(getattr(inner, "main_input_name", ""), modality)
    takes = list(_towers(inner)) or [known]
    if modality not in takes:
        raise ValueError(
            f"{title} ({type(inner).__name__}) takes {' and '.join(takes)}, and these inputs are of modality "
            f"{modality}; give it {' or '.join(takes)} inputs"
        )


def _towers(inner: nn.Module) -> dict[Modality, nn.Module]:
    """Return the towers of a model that has several."""
    parts = {kind: getattr(inner, name, None) for kind, name in TOWERS.items()}
    found = {kind: part for kind, part in parts.items() if isinstance(part, nn.Module)}
    return found if len(found) > 1 else {}
