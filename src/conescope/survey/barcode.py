"""Points, in memory or in files -> their H0 barcode, with the items that each bar joins."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from conescope._types import Lengths, Points
from conescope.results.barcode import EVERY_BAR, Barcode, SelectedBars
from conescope.scale.labels import read_labels
from conescope.scale.sample import draw, fingerprint
from conescope.scale.sources import read_points
from conescope.survey.inputs import Cloud, Where, as_points
from conescope.survey.reading import are_states, state_in
from conescope.topology import (
    RULES,
    Rule,
    h0_edges,
    persistent_entropy,
    relative_persistent_entropy,
    select_bars,
)
from conescope.topology.lengths import edge_lengths
from conescope.topology.selection import check_rule

IDS = (".txt", ".npy")


class _Items(NamedTuple):
    """Points, and what is known of each of them."""

    points: Points
    ids: Sequence[str] | None
    rows: Sequence[int] | None = None
    of: int | None = None
    notes: tuple[str, ...] = ()


@torch.no_grad()
def barcode(
    points: Cloud | Where | Sequence[Where],
    ids: Sequence[object] | Where | None = None,
    *,
    selection: Rule | None = "recursive",
    column: str | None = None,
    sample: int | None = None,
    seed: int = 0,
    title: str = "",
    stage: Callable[[str], None] = lambda what: None,
) -> Barcode:
    """Return the H0 barcode of a point cloud, with the entropy of the bars that each rule of selection keeps.

    A bar's length is the distance, in the unit of the points, at which two groups of points join. Fewer than
    two points have no bar; the result says so in a note.

    Args:
        points: floating point, of shape (n, d); or files of points; or files of states, whose samples are
            taken.
        ids: a name or text for each point: a sequence, a text file with one a line, a .npy file, or the name
            of a column in the files.
        selection: the rule to show first, one of `conescope.topology.RULES`; None for all bars.
        column: of the points in the files, where it is not clear.
        sample: take this many points, drawn without replacement; None takes all. A draw has the bars of a
            thinner cloud: they are longer.
        seed: of that draw.
        title: a name for the result.
        stage: called with a word before each step that may take long, and with the share done of a long one.

    Raises:
        ValueError: for an unknown rule, a row with NaN or infinity, a number of ids that is not that of the
            points, or a file that can not be read.
        TypeError: if points are not real floating point numbers.

    >>> found = barcode(torch.tensor([[0.0], [7.0], [1.0], [3.0]]), ["a", "b", "c", "d"])
    >>> found.lengths, [found.name(point) for point in found.edges[0]]
    ((1.0, 2.0, 4.0), ['a', 'c'])
    """
    check_rule(selection)
    if sample is not None and sample < 2:
        raise ValueError(f"sample is a number of points and at least 2, or None for all, got {sample}")
    stage("reading")
    items = _items(points, ids, column)
    items = items if sample is None else _drawn(items, sample, seed)
    n, d = items.points.shape
    what = f"the spanning tree of {n} points"
    stage(what)
    edges = h0_edges(items.points, progress=lambda share: stage(f"{what}, {share:.0%}"))
    lengths = edge_lengths(items.points, edges)
    order = lengths.argsort(stable=True)
    edges, lengths = edges[order], lengths[order].double()
    notes = (
        items.notes if n > 1 else (*items.notes, f"n = {n}: bars join points, and there are fewer than two")
    )
    return Barcode(
        title=title,
        n=n,
        d=d,
        sampled_from=items.of,
        rows=None if items.rows is None else tuple(items.rows),
        edges=tuple((u, v) for u, v in edges.tolist()),
        lengths=tuple(lengths.tolist()),
        ids=None if items.ids is None else tuple(items.ids),
        selection=selection or EVERY_BAR,
        rules=tuple(_selected(lengths, rule, stage) for rule in (*RULES, None)),
        notes=notes,
    )


def _selected(lengths: Lengths, rule: str | None, stage: Callable[[str], None]) -> SelectedBars:
    stage(f"selection: {rule or 'all bars'}")
    kept = lengths[select_bars(lengths, rule)]  # type: ignore[arg-type]
    return SelectedBars(
        rule=rule or EVERY_BAR,
        kept=len(kept),
        entropy=float(persistent_entropy(kept)),
        relative_entropy=float(relative_persistent_entropy(kept)),
    )


def _items(
    points: Cloud | Where | Sequence[Where], ids: Sequence[object] | Where | None, column: str | None
) -> _Items:
    """Return the points and their ids, wherever they are."""
    if isinstance(points, Tensor | np.ndarray):
        if column is not None:
            raise ValueError("a column is of files; an array has none")
        cloud = as_points(points)
        return _Items(cloud, _ids(ids, len(cloud)))
    if are_states(points):
        if ids is not None or column is not None:
            raise ValueError("a state keeps no ids, and has its column already: leave them out")
        return _of_states(points)
    in_files = isinstance(ids, str | os.PathLike) and not _is_file(ids)
    read = read_points(points, column=column, labels=ids if in_files else None)  # type: ignore[arg-type]
    cloud = as_points(read.points)
    return _Items(cloud, _ids(read.labels if in_files else ids, len(cloud)))


def _of_states(where: Where | Sequence[Where]) -> _Items:
    """Return the sample in a state, in the order of its rows."""
    state = state_in(where)
    order = state.sample.rows.argsort(stable=True)
    notes = tuple(
        f"the scan of {record.name} was stopped after {record.rows} rows"
        for record in state.shards
        if not record.complete
    )
    return _Items(
        as_points(state.sample.points[order]),
        None,
        rows=state.sample.rows[order].tolist() if len(state.shards) == 1 else None,
        of=state.n if state.n > len(order) else None,
        notes=notes,
    )


def _drawn(items: _Items, sample: int, seed: int) -> _Items:
    """Return a sample of the points, in the order in which they stand; the draw of `conescope.measure`."""
    n = len(items.points)
    if sample >= n:
        return items
    rows = draw(items.points, capacity=sample, seed=seed, shard=fingerprint(items.points)).rows.sort().values
    places: list[int] = rows.tolist()
    return items._replace(
        points=items.points[rows.to(items.points.device)],
        ids=None if items.ids is None else [items.ids[place] for place in places],
        rows=places if items.rows is None else [items.rows[place] for place in places],
        of=items.of or n,
    )


def _is_file(ids: Where) -> bool:
    """Return whether ids are in a file of their own, and not in a column."""
    path = Path(ids)
    if path.suffix.lower() in IDS and not path.is_file():
        raise FileNotFoundError(f"there is no file {path} to read ids from")
    return path.is_file()


def _ids(ids: Sequence[object] | Where | None, count: int) -> list[str] | None:
    """Return one text a point."""
    if ids is None:
        return None
    source = "ids"
    if isinstance(ids, str | os.PathLike):
        if not _is_file(ids):
            raise ValueError(f"ids of points in memory are a sequence or a file, and there is no file {ids}")
        source = str(ids)
        ids = _lines(Path(ids))
    if len(ids) != count:
        raise ValueError(f"ids have one entry a point: there are {count} points, but {source} has {len(ids)}")
    return [str(one) for one in ids]


def _lines(file: Path) -> Sequence[object]:
    if file.suffix.lower() == ".npy":
        count, some = read_labels(file)
        return some(0, count)
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")  # not splitlines: texts may hold U+2028
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} must be text in UTF-8, one id a line: {error}") from None
    if lines[-1] == "":
        lines.pop()
    return [line.strip() for line in lines]
