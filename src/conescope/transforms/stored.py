"""A fitted fix in a safetensors file: its arrays, and its kind and settings as JSON. No pickle."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from conescope._files import whole_file

FORMAT = "conescope.fix/1"
KEY = "conescope"  # of the JSON in the metadata of the file

Where: TypeAlias = str | os.PathLike[str]


class Stored(NamedTuple):
    """What a file holds: the kind of the fix, its settings, what was counted, and its arrays."""

    kind: str
    settings: dict[str, Any]
    facts: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def write(path: Where, stored: Stored) -> None:
    """Write a fix, whole or not at all.

    Raises:
        ValueError: for a setting that JSON can not keep, such as a generator of random numbers.
    """
    from safetensors.numpy import save

    try:
        head = json.dumps(
            {"format": FORMAT, "kind": stored.kind, "settings": stored.settings, "facts": stored.facts},
            default=_plain,
        )
    except TypeError as problem:
        raise ValueError(
            f"the settings of a fix are kept as JSON: {problem}; give random_state as a whole number or None"
        ) from None
    arrays = {name: np.ascontiguousarray(array) for name, array in stored.arrays.items()}
    with whole_file(Path(path)) as temporary:
        temporary.write_bytes(save(arrays, {KEY: head}))


def read(path: Where) -> Stored:
    """Return what a file holds.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a safetensors file, or holds no fix, or one of a later format.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {os.fspath(path)}")
    try:
        with safe_open(path, framework="numpy") as source:
            kept = (source.metadata() or {}).get(KEY)
            arrays = {name: source.get_tensor(name) for name in source.keys()}  # noqa: SIM118
    except SafetensorError as problem:
        raise ValueError(f"{os.fspath(path)} can not be read as safetensors: {problem}") from None
    head: Any = {} if kept is None else json.loads(kept)
    head = head if isinstance(head, Mapping) else {}
    if head.get("format") != FORMAT or not {"kind", "settings", "facts"} <= set(head):
        found = "tensors of something else" if kept is None else f"the format {head.get('format')!r}"
        raise ValueError(
            f"{os.fspath(path)} must hold a fix in the format {FORMAT!r}, but holds {found}; "
            "conescope fix fit writes one"
        )
    return Stored(head["kind"], head["settings"], head["facts"], arrays)


def _plain(value: object) -> object:
    """Return a number of NumPy, which JSON does not know, as one of Python."""
    if isinstance(value, np.integer | np.floating):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not kept")
