"""Files of points, or of states, -> one state with what some rows need."""

import os
from collections.abc import Sequence
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
    sample: int | None = 4096,
    seed: int = 0,
    precision: Precision | None = None,
    path: Where | None = None,
    advance: Advance | None = None,
) -> Scanned:
    """Return the state that these rows need of files of points, or of one state file.

    A state file is taken as it is. `path` is where the state is kept, so that the scan can be resumed.
    """
    if isinstance(where, str | os.PathLike) and Path(where).suffix == SUFFIX:
        return Scanned(load(where)[0], {})
    if not isinstance(where, str | os.PathLike) and {Path(some).suffix for some in where} == {SUFFIX}:
        state, *others = (load(some)[0] for some in where)
        for other in others:
            state = merge(state, other)
        return Scanned(state, {})
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
    """Return one sentence about the shards that could not be read."""
    listed = "; ".join(f"{name}: {problem}" for name, problem in failed.items())
    return f"{len(failed)} of the shards could not be read, and are not counted: {listed}"
