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
ANY_ORDER = frozenset({"reassoc", "contract"})  # of LLVM's leaves; none of them is about NaN or infinity


def compiled_in_training(loop: Loop, wanted: Tensor, *, any_order: bool = False) -> Loop | None:
    """Return the loop, compiled, if it pays: for what has a gradient, as in training, on a CPU.

    A call or two would not make up for the import of numba, or for compiling.
    """
    trained = wanted.requires_grad and wanted.is_cpu and not torch.compiler.is_compiling()
    return compiled(loop, any_order) if trained else None


@cache
def compiled(loop: Loop, any_order: bool = False) -> Loop | None:
    """Return the loop, compiled; None without numba, or where `NUMBA_DISABLE_JIT=1` turns it off.

    It is compiled at its first call, in seconds, and kept on disk for later processes where that is allowed.

    Args:
        loop: a function of arrays and numbers.
        any_order: whether its sums may be taken in any order, as vector units do. A loop is always asked for
            in the same way: what is kept on disk does not tell the ways apart.
    """
    try:
        import numba
    except ImportError:
        return None
    if getattr(numba.config, "DISABLE_JIT", False):  # it reads the environment
        return None
    plain = inspect.unwrap(loop)  # not a wrapper that checks types
    leave = ANY_ORDER if any_order else frozenset[str]()
    try:
        return cast("Loop", numba.njit(cache=True, nogil=True, fastmath=set(leave))(plain))
    except RuntimeError:  # no folder to keep it in
        return cast("Loop", numba.njit(nogil=True, fastmath=set(leave))(plain))
