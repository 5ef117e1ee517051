"""With the loops that numba compiles, or by torch, NumPy and SciPy alone."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from unittest.mock import patch

from conescope.topology import compiled
from conescope.topology.prim import prim

COMPILED = "conescope[compiled]"


@contextmanager
def loops(wanted: bool) -> Iterator[None]:
    """Within it, loops are compiled as for a user who has numba, or never."""
    with nullcontext() if wanted else patch.object(compiled, "compiled", lambda *loop: None):
        yield


def there_are_loops() -> bool:
    """Return whether numba is installed, and not turned off."""
    return compiled.compiled(prim) is not None
