"""Checkpoints of a Hugging Face Trainer: which one to go on from, and what may be in it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from json import loads
from pathlib import Path
from typing import Any

import numpy as np
import torch

TRAINER_STATE = "trainer_state.json"


def last_whole_checkpoint(folder: Path, beside: Sequence[str] = ()) -> str | None:
    """Return the newest checkpoint that was written to its end, or None.

    The Trainer writes its own state last, and callbacks after it: `beside` names their files.
    """
    for path in sorted(folder.glob("checkpoint-*"), key=lambda path: -int(path.name.rpartition("-")[2])):
        try:
            loads((path / TRAINER_STATE).read_text())
        except (OSError, ValueError):
            continue  # the run was stopped while it wrote this one
        if all((path / name).is_file() for name in beside):
            return str(path)
    return None


def numpy_states_allowed() -> AbstractContextManager[None]:
    """Let a checkpoint hold the state of numpy's generator, which older transformers forget to allow.

    torch.load reads nothing but tensors and plain values since 2.6; the three types here are arrays.
    """
    rebuild = np.empty(0).__reduce__()[0]  # moved between modules from numpy 1 to 2
    types: list[Any] = [rebuild, np.ndarray, np.dtype, type(np.dtype(np.uint32))]
    return (
        torch.serialization.safe_globals(types)
        if hasattr(torch.serialization, "safe_globals")
        else nullcontext()
    )
