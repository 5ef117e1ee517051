"""Loops that numba compiles, where it is installed.

Each does in one call what a pure path does in some hundred calls of NumPy or torch, and of small clouds the
calls take longer than the work. Without numba nobody misses them.
"""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled_in_training(loop: Loop, wanted: Tensor) -> Loop | None:
    """Return the loop, compiled, if it pays: for what has a gradient, as in training, on a CPU.

    A call or two would not make up for the import of numba, or for compiling.
    """
    trained = wanted.requires_grad and wanted.is_cpu and not torch.compiler.is_compiling()
    return compiled(loop) if trained else None


@cache
def compiled(loop: Loop) -> Loop | None:
    """Return the loop, compiled; None without numba, or where `NUMBA_DISABLE_JIT=1` turns it off.

    It is compiled at its first call, in seconds, and kept on disk for later processes where that is allowed.
    """
    try:
        import numba
    except ImportError:
        return None
    if getattr(numba.config, "DISABLE_JIT", False):  # it reads the environment
        return None
    plain = inspect.unwrap(loop)  # not a wrapper that checks types
    try:
        return cast("Loop", numba.njit(cache=True, nogil=True)(plain))
    except RuntimeError:  # no folder to keep it in
        return cast("Loop", numba.njit(nogil=True)(plain))
