"""The memory that scans of a file take, in a process of its own, called by `benchmarks.files`.

    python -m benchmarks.memory FILE

prints, for a scan of order 1 and then for one of order 2, the most bytes that no file backs (pages of the
mapped file can be dropped at any time and do not count), less those before both, when all is imported; and
nothing where the system does not tell.
"""

import sys
import threading
from pathlib import Path
from types import TracebackType

from benchmarks.machine import anonymous_bytes

SECONDS = 0.002  # between two looks


class Peak:
    """The most anonymous memory of this process while the context is open."""

    def __init__(self) -> None:
        self.bytes = anonymous_bytes() or 0
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    def __enter__(self) -> "Peak":
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._watcher.join()
        self._look()

    def _watch(self) -> None:
        while not self._done.wait(SECONDS):
            self._look()

    def _look(self) -> None:
        self.bytes = max(self.bytes, anonymous_bytes() or 0)


def main(file: str) -> None:
    """Print the memory of two scans."""
    from benchmarks.files import scanned

    before = anonymous_bytes()
    if before is None:
        return
    for order in (1, 2):
        with Peak() as peak:
            scanned(Path(file), order)
        print(peak.bytes - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
