"""Several processes share one folder of runs: each job is done by one of them, and all get every result."""

import logging
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

logger = logging.getLogger("conescope")
Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")
PATIENCE = 1.0  # seconds between two looks at what others do


@contextmanager
def claimed(name: str, claims: Path) -> Iterator[bool]:
    """Yield whether this process alone has the name until the block ends.

    The system gives a claim back when its process ends, however that happens, so none is ever stale.
    """
    claims.mkdir(parents=True, exist_ok=True)
    lock = FileLock(claims / f"{name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def divide(
    names: Mapping[Key, str],
    claims: Path,
    read: Callable[[Key], Result | None],
    make: Callable[[Key], Result],
    ready: Callable[[Key], bool] = lambda key: True,
) -> Iterator[tuple[Key, Result]]:
    """Yield every job and its result, as soon as this process or another one in the folder has it.

    The first job that is neither finished nor claimed is made here. Only when others have claimed all that
    is left, this process waits for them; if one of them fails, what it had claimed is made here.

    Args:
        names: the jobs in the order of their importance, each with a name that is the same in all processes.
        claims: folder of the claims, made if it is missing.
        read: returns the result of a finished job, or None.
        make: does a job, leaves what `read` finds, and returns the result.
        ready: whether a job can be begun, after those that were yielded by then.
    """
    left, told = dict(names), False
    while left:
        for key in left:
            result = read(key)
            if result is None and ready(key):
                with claimed(left[key], claims) as mine:
                    if mine:
                        result = read(key)  # it may have been finished after the first look
                        result = make(key) if result is None else result
            if result is not None:
                break
        else:
            if not told:
                logger.warning("other processes make what is left (%d); this one waits for them", len(left))
                told = True
            time.sleep(PATIENCE)
            continue
        del left[key]
        yield key, result
