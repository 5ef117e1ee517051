"""A run that is stopped leaves the states of its layers in a folder, and goes on from there.

The folder is replaced as a whole: it holds the states after one number of batches, or, should the machine
fail between two renames, the one before it lies beside it.
"""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError
from torch import Tensor

from conescope._files import write_text
from conescope._optional import require
from conescope.profile.gathering import Gathering
from conescope.profile.token_views import TokenViews
from conescope.results.profile import Profile
from conescope.scale.state import load
from conescope.scale.state import save as save_state

SECONDS = 20.0  # between two savings at least, so that they take no time
FOLDER = "unfinished"
NOTES = "progress.json"
TOKENS = "tokens.safetensors"
PROFILE = "profile.json"


def save(
    path: Path, key: str, batches: int, layers: Sequence[Gathering], views: TokenViews | None = None
) -> None:
    """Write the states after so many batches, unless that was done a moment ago."""
    folder, fresh, old = (path / f"{FOLDER}{suffix}" for suffix in ("", ".new", ".old"))
    if folder.exists() and time.time() - folder.stat().st_mtime < SECONDS:
        return
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for number, layer in enumerate(layers):
        save_state(layer.state, fresh / f"{number}.state", {"rows": layer.rows})
    if views is not None:
        _save_tensors(views.tensors(), fresh / TOKENS)
    write_text(fresh / NOTES, json.dumps({"key": key, "batches": batches}))
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def resumed(path: Path, key: str, layers: Sequence[Gathering], views: TokenViews | None = None) -> int:
    """Put the states that a stopped run of the same key left into the layers; return its batches, or 0."""
    for folder in (path / FOLDER, path / f"{FOLDER}.old"):
        notes = folder / NOTES
        if not notes.is_file():
            continue
        known = json.loads(notes.read_text(encoding="utf-8"))
        if known.get("key") != key:
            continue
        for number, layer in enumerate(layers):
            layer.state, told = load(folder / f"{number}.state")
            layer.rows = int(told["rows"])
        if views is not None:
            views.load(_load_tensors(folder / TOKENS))
        return int(known["batches"])
    return 0


def finished(path: Path, key: str) -> Profile | None:
    """Return the profile that an earlier run of the same key wrote, if there is one."""
    try:
        found = Profile.model_validate_json((path / PROFILE).read_bytes())
    except (OSError, ValidationError):
        return None
    return found if found.key == key else None


def finish(path: Path, found: Profile) -> None:
    """Write the profile, whole or not at all, and remove what a stopped run left."""
    write_text(path / PROFILE, found.to_json())
    for suffix in ("", ".new", ".old"):
        shutil.rmtree(path / f"{FOLDER}{suffix}", ignore_errors=True)


def _save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    save_file = require("safetensors.torch", extra="files").save_file
    save_file({name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}, path)


def _load_tensors(path: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = require("safetensors.torch", extra="files").load_file(path)
    return tensors
