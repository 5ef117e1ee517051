"""Points in a safetensors file: one of its tensors, read in slices."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from conescope._optional import require
from conescope._types import Points
from conescope.scale.block import LabelList
from conescope.scale.choice import Slot, choose_array
from conescope.scale.labels import check_count
from conescope.scale.table import Table, described, legible, sliced

FLOATS = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}


@contextmanager
def open_tensors(file: Path, column: str | None, labels: str | None) -> Iterator[Table]:
    """Open the only tensor of shape (n, d) of the file, or the one named; labels are a tensor of integers."""
    require("safetensors", extra="files")
    from safetensors import safe_open

    with legible(file, "safetensors"):
        tensors: Any = safe_open(file, framework="pt")
    with tensors:
        with legible(file, "safetensors"):
            parts = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118 (not a dict)
            slots = {name: _slot(part) for name, part in parts.items()}
        name = choose_array(file, column, slots, kind="tensor")
        n, d = slots[name].shape
        labeled = labels in slots
        classes: Callable[[int, int], LabelList] | None = None
        if labels is not None and labeled:
            _check_labels(file, labels, slots[labels])
            check_count(labels, slots[labels].shape[0], file, n)
            classes = _rows(file, parts[labels], lambda part: part.tolist())
        points: Callable[[int, int], Points] = _rows(file, parts[name], lambda part: part)
        contents = described({key: f"{slot.dtype} {slot.shape}" for key, slot in slots.items()})
        yield Table(n, d, FLOATS[slots[name].dtype], labeled, contents, sliced(n, points, classes))


def _slot(part: Any) -> Slot:
    kind = part.get_dtype()
    return Slot(kind, tuple(part.get_shape()), kind in FLOATS)


def _rows(file: Path, part: Any, convert: Callable[[Any], Any]) -> Callable[[int, int], Any]:
    def rows(start: int, stop: int) -> Any:
        with legible(file, "safetensors"):
            return convert(part[start:stop])

    return rows


def _check_labels(file: Path, labels: str, slot: Slot) -> None:
    if len(slot.shape) != 1 or not (slot.dtype == "BOOL" or slot.dtype[0] in "IU"):
        raise ValueError(
            f"labels are integers, one a point, but tensor {labels!r} of {file} holds {slot.dtype} "
            f"of shape {slot.shape}"
        )
