"""What tests of compiled loops share: the session runs without them (`conftest`)."""

import importlib.util

import pytest

from conescope.topology import compiled

REAL = compiled.compiled  # taken when tests are collected, before the session replaces it
needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed")
