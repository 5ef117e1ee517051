"""Files of points, or of states, -> one state with what some rows need."""

import os
from collections.abc import Sequence
from functools import reduce
from pathlib import Path

from conescope.measures import Measure
from conescope.scale.moments import Precision
from conescope.scale.scan import Advance, Scanned, scan
from conescope.scale.shards import open_shards
from conescope.scale.state import SUFFIX, State, load, merge
from conescope.survey.inputs import Where
from conescope.survey.rows import order_of


def read(
    where: Where | Sequence[Where],
    rows: Sequence[Measure],
    *,
    column: str | None = None,
    labels: str | None = None,
    sample: int | None = 2048,
    seed: int = 0,
    precision: Precision | None = None,
    path: Where | None = None,
    advance: Advance | None = None,
) -> Scanned:
    """Return the state that these rows need of files of points, or the one in files of states.

    A state file is taken as it is. `path` is where the state is kept, so that the scan can be resumed.
    """
    if are_states(where):
        return Scanned(state_in(where), {})
    return scan(
        open_shards(where, column=column, labels=labels),
        labels=labels is not None,
        order=order_of(rows),
        precision=precision,
        sample=2**62 if sample is None else sample,
        seed=seed,
        path=path,
        advance=advance,
    )


def are_states(where: Where | Sequence[Where]) -> bool:
    """Return whether files hold states, by their suffix."""
    files = [where] if isinstance(where, str | os.PathLike) else where
    return {Path(file).suffix for file in files} == {SUFFIX}


def state_in(where: Where | Sequence[Where]) -> State:
    """Return the state in a file, or the union of those in several."""
    files = [where] if isinstance(where, str | os.PathLike) else where
    return reduce(merge, (load(file)[0] for file in files))


def whole(scanned: Scanned) -> State:
    """Return the state of a scan of which every shard could be read.

    Raises:
        ValueError: naming the shards that could not.
    """
    if scanned.failed:
        raise ValueError(told(scanned.failed))
    assert scanned.state is not None  # open_shards finds at least one shard, and it did not fail
    return scanned.state


def told(failed: dict[str, str]) -> str:
    """Return one sentence about the shards that could not be read: the first ten, and how many more."""
    listed = [
        problem if name in problem else f"{name}: {problem}" for name, problem in list(failed.items())[:10]
    ]
    if len(failed) == 1:
        return listed[0]
    more = [f"and {len(failed) - len(listed)} more"] if len(failed) > len(listed) else []
    return f"{len(failed)} files could not be read: {'; '.join(listed + more)}"
