"""Several models side by side: names that tell them apart, and the steps of checkpoints."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

NUMBERED = re.compile(r"(.*?)(\d+)(\D*)")
DECIMAL = re.compile(r"\d\.$")


class Member(NamedTuple):
    """A model, a short name for it, and its step if all of the models are checkpoints of one run."""

    model: str
    name: str
    step: int | None


def members(models: Sequence[str]) -> tuple[Member, ...]:
    """Return some models with names, checkpoints of one run in the order of their steps.

    Models are folders or names on a hub, and called by the last part of their path, or by as many parts as
    tell them apart. They are checkpoints if their last parts differ in one number alone: checkpoint-9 and
    checkpoint-10.

    Raises:
        ValueError: if a model is named twice.

    >>> [member.step for member in members(["run/checkpoint-10", "run/checkpoint-9"])]
    [9, 10]
    """
    plain = [str(Path(model)) for model in models]
    twice = [model for model in plain if plain.count(model) > 1]
    if twice:
        raise ValueError(f"{twice[0]} is named twice; each model is profiled once")
    names = _names(plain)
    steps = _steps(plain)
    if steps is None:
        return tuple(Member(model, name, None) for model, name in zip(models, names, strict=True))
    found = [Member(*each) for each in zip(models, names, steps, strict=True)]
    return tuple(sorted(found, key=lambda member: member.step or 0))


def _names(models: Sequence[str]) -> list[str]:
    """Return names that can be those of folders, as short as they differ."""
    parts = [[part for part in Path(model).parts if part.strip("./\\")] or ["model"] for model in models]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["-".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{number}-{part[-1]}" for number, part in enumerate(parts, start=1)]


def _steps(models: Sequence[str]) -> list[int] | None:
    found = [NUMBERED.fullmatch(Path(model).name) for model in models]
    if len(models) < 2 or None in found:
        return None
    texts = {(match[1], match[3]) for match in found if match}
    version = any(DECIMAL.search(text) for text, _ in texts)  # of 1.5 the 5 is no step
    return [int(match[2]) for match in found if match] if len(texts) == 1 and not version else None
