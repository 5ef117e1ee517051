"""Images as inputs of a model that looks at patches, or at pixels."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from conescope._optional import require
from conescope.capture.batch import Batch, Tokens

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm")
PREFIXES = ("cls_token", "class_embedding", "distillation_token", "register_tokens")
CHANNELS = (1, 3, 4)


class Images:
    """Images for a model; a `Prepared`. Files are read again for each batch, so that memory does not grow.

    Tokens that stand before those of the patches, such as [CLS], a distillation token and registers, are
    special. Images that the processor makes of different shapes do not stand in one batch.

    Args:
        images: at least one: paths of files, PIL images, or arrays of shape (height, width, channels) or
            (channels, height, width) with 1, 3 or 4 channels, of integers 0 to 255, or of floats in
            [0, 1], which are rounded to such integers.
        processor: image processor of transformers.
        patch: height and width of a patch in pixels; None for a model without patches of one size.
        prefix: how many tokens stand before those of the patches.

    Raises:
        FileNotFoundError, ValueError: naming the image that can not be read.
    """

    modality = "image"
    padded = False

    def __init__(
        self,
        images: Sequence[Any],
        processor: Any,
        *,
        patch: tuple[int, int] | None = None,
        prefix: int = 0,
    ) -> None:
        self.images = images
        self.processor = processor
        self.patch = patch
        self.prefix = prefix
        digest = hashlib.blake2b(digest_size=16)
        by_size: dict[tuple[int, int], int] = {}  # of an image before it is processed
        by_shape: dict[tuple[int, ...], int] = {}
        self.sizes = []
        for number in range(len(images)):
            picture = self._picture(number)
            digest.update(repr(picture.size).encode() + picture.tobytes())
            if picture.size not in by_size:
                pixels = self._pixels(picture)
                digest.update(pixels.numpy().tobytes())  # how the processor is set shows in what it makes
                shape = tuple(pixels.shape)
                if shape not in by_shape:
                    size = pixels.shape[-2] * pixels.shape[-1]
                    while size in by_shape.values():  # an image on its side has as many pixels
                        size += 1
                    by_shape[shape] = size
                by_size[picture.size] = by_shape[shape]
            self.sizes.append(by_size[picture.size])
        self.fingerprint = digest.hexdigest()

    def batch(self, numbers: Sequence[int]) -> Batch:
        """Return these images as one batch on the CPU."""
        pixels = torch.stack([self._pixels(self._picture(number)) for number in numbers])
        if self.patch is None or not self.prefix:
            return Batch({"pixel_values": pixels}, len(numbers))
        patches = (pixels.shape[-2] // self.patch[0]) * (pixels.shape[-1] // self.patch[1])
        real = torch.ones(len(numbers), self.prefix + patches, dtype=torch.bool)
        special = torch.zeros_like(real)
        special[:, : self.prefix] = True
        return Batch({"pixel_values": pixels}, len(numbers), Tokens(real, special))

    def _pixels(self, picture: Any) -> Tensor:
        pixels: Tensor = self.processor(images=picture, return_tensors="pt")["pixel_values"][0]
        return pixels

    def _picture(self, number: int) -> Any:
        """Return an image as a PIL image with three channels."""
        image = self.images[number]
        if isinstance(image, str | os.PathLike):
            return _read(Path(image))
        if isinstance(image, np.ndarray | Tensor):
            return _of_array(np.asarray(image), number)
        if hasattr(image, "convert"):
            return image.convert("RGB")
        raise ValueError(
            f"image {number} (counted from 0) is of type {type(image).__name__}; a path, a PIL image or an "
            "array is expected"
        )


def prefix_tokens(model: nn.Module) -> int:
    """Return how many learned tokens a model puts before those of the patches."""
    count = 0
    for name, weights in model.named_parameters():
        if name.rpartition(".")[2] in PREFIXES:
            count += weights.shape[-2] if weights.ndim > 1 else 1
    return count


def patch_of(config: Any) -> tuple[int, int] | None:
    """Return height and width of the patches that a configuration tells, or None."""
    size = getattr(getattr(config, "vision_config", config), "patch_size", None)
    if isinstance(size, int):
        return size, size
    return (int(size[0]), int(size[1])) if isinstance(size, list | tuple) and len(size) == 2 else None


def _read(path: Path) -> Any:
    image = require("PIL.Image", extra="hf")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        with image.open(path) as opened:
            return opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, image.DecompressionBombError) as problem:
        raise ValueError(f"{path}: not readable as an image: {problem}") from problem


def _of_array(array: Any, number: int) -> Any:
    image = require("PIL.Image", extra="hf")
    if array.ndim == 3 and array.shape[2] not in CHANNELS and array.shape[0] in CHANNELS:
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[2] not in CHANNELS or not array.size:
        raise ValueError(
            f"image {number} (counted from 0) has shape {array.shape}; (height, width, channels) or "
            "(channels, height, width) is expected, with 1, 3 or 4 channels"
        )
    low, high = float(array.min()), float(array.max())
    most = 1 if array.dtype.kind == "f" else 255
    if not (low >= 0 and high <= most):
        raise ValueError(
            f"image {number} (counted from 0) has values from {low:g} to {high:g}; integers are expected in "
            "0 to 255, floats in 0 to 1"
        )
    scaled = np.rint(array * 255.0) if most == 1 else array
    eight = np.ascontiguousarray(scaled, dtype=np.uint8)
    return image.fromarray(eight[..., 0] if eight.shape[2] == 1 else eight).convert("RGB")
