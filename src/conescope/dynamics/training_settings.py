"""The settings of a training: whether they are usable, and whether a folder is theirs."""

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from conescope._files import write_text
from conescope.survey.rows import chosen as chosen_measures

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
DEVICES = ("auto", "cpu", "cuda")


def check(settings: dict[str, Any], save_steps: int) -> None:
    """Raise a ValueError for the first setting that is out of range."""
    for name in ("epochs", "lr"):
        if not 0 < settings[name] < math.inf:
            raise ValueError(f"{name} must be positive, got {settings[name]}")
    whole = {name: settings[name] for name in ("batch_size", "max_length", "sample", "record_every")}
    for name, value in (*whole.items(), ("save_steps", save_steps)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    for name, known in (("precision", PRECISIONS), ("device", DEVICES)):
        if settings[name] not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {settings[name]!r}")
    if settings["device"] == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is cuda, and there is none on this machine; take auto or cpu")
    _check_examples(settings["texts"], settings["pairs"], settings["labels"])
    chosen_measures(settings["measures"], labels=False, partners=False)


def _check_examples(texts: Sequence[str], pairs: Sequence[str] | None, labels: Sequence[str] | None) -> None:
    for name, given in (("pairs", pairs), ("labels", labels)):
        if given is not None and len(given) != len(texts):
            raise ValueError(f"expected as many {name} as texts, got {len(given)} and {len(texts)}")
    if labels is not None and len(set(labels)) < 2:
        raise ValueError(f"two classes or more are needed, found {len(set(labels))}")


def claim(folder: Path, settings: dict[str, Any]) -> None:
    """Write the settings of a training into its folder, or compare them with those that are there."""
    data = json.dumps([settings[name] for name in ("texts", "pairs", "labels")], default=list)
    plain = {name: value for name, value in settings.items() if name not in ("texts", "pairs", "labels")}
    plain["data_sha256"] = hashlib.sha256(data.encode()).hexdigest()
    text = json.dumps(plain, indent=1, default=list)
    file = folder / "settings.json"
    if not file.is_file():
        write_text(file, text)
        return
    try:
        held = json.loads(file.read_text())
        differing = [name for name, value in json.loads(text).items() if held.get(name) != value]
    except (ValueError, AttributeError):
        raise ValueError(f"{file} is not readable as settings; choose another folder") from None
    if differing:
        raise ValueError(
            f"{folder} holds another training, of another {differing[0]}; choose another folder, or remove it"
        )
