"""Loops are compiled where numba is, kept where that is allowed, and missed by nobody."""

import subprocess
import sys

import numpy as np
import torch

from conescope.topology import compiled
from conescope.topology.prim import prim
from tests.topology.loops import REAL, needs_numba


def test_only_what_has_a_gradient_on_a_cpu(monkeypatch):
    monkeypatch.setattr(compiled, "compiled", lambda loop, any_order: loop)
    assert compiled.compiled_in_training(prim, torch.ones(2, 2)) is None
    assert compiled.compiled_in_training(prim, torch.ones(2, 2, requires_grad=True)) is prim
    assert compiled.compiled_in_training(prim, torch.ones(2, 2, device="meta", requires_grad=True)) is None


@needs_numba
def test_it_can_be_turned_off():
    """In a process of its own: numba reads the environment once."""
    script = "from conescope.topology import compiled, prim; print(compiled.compiled(prim.prim))"
    found = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={"NUMBA_DISABLE_JIT": off},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for off in "10"
    ]
    assert found[0] == "None\n"
    assert found[1].startswith("CPUDispatcher")


def test_without_numba_there_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    assert REAL.__wrapped__(prim) is None


@needs_numba
def test_only_sums_in_any_order_run_on_vector_units(monkeypatch):
    import numba

    asked = []
    monkeypatch.setattr(numba, "njit", lambda **options: asked.append(options["fastmath"]) or (lambda f: f))
    REAL.__wrapped__(prim)
    REAL.__wrapped__(prim, True)
    assert asked == [set(), {"reassoc", "contract"}]


@needs_numba
def test_without_a_folder_to_keep_it_in_it_is_compiled_each_time(monkeypatch):
    import numba

    real = numba.njit

    def njit(*args, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(*args, **options)

    monkeypatch.setattr(numba, "njit", njit)
    loop = REAL.__wrapped__(prim)
    edges, _ = loop(np.array([[[0.0, 4, 1], [4, 0, 1], [1, 1, 0]]]))
    assert edges.tolist() == [[[0, 2], [1, 2]]]
