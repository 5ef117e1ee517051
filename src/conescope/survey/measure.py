"""`conescope.measure`: the table of measures over one embedding space, with what a reader must know.

A number alone misleads: IsoScore gives a cloud in which every cosine is 1.0 a good mark, since it
subtracts the mean, and 20 points in 128 dimensions a bad one, whatever they are. So beside each value
stand its interval, what a Gaussian of the same size gives, and the healthy range; every undefined value
says why; and the verdict looks at all of them together.

Points in memory and points in files go the same way: one pass gives a state (moments of all points, and a
sample), and the measures are taken of the state.
"""

import os
from collections.abc import Sequence
from numbers import Integral
from typing import Literal, cast, get_args

import numpy as np
import torch
from torch import Tensor

from conescope._types import Labels, Points
from conescope.measures import Measure
from conescope.results import MeasuredValue, Measurement
from conescope.scale.moments import Precision
from conescope.scale.sample import fingerprint
from conescope.scale.scan import DOUBLE_WORK
from conescope.scale.state import State, state_of
from conescope.survey.inputs import Classes, Cloud, Where, as_labels, as_partners, as_points, pairs_of_files
from conescope.survey.measurement import measurement
from conescope.survey.reading import are_states, read, state_in, whole
from conescope.survey.rows import chosen, order_of
from conescope.survey.verdict import Seen, findings


@torch.no_grad()
def measure(
    points: Cloud | State | Where | Sequence[Where],
    labels: Classes | Where | None = None,
    measures: str | Sequence[str] | None = None,
    *,
    column: str | None = None,
    partners: Cloud | Where | None = None,
    sample: int | None = 2048,
    seed: int = 0,
    intervals: bool = True,
    null: bool = True,
    precision: Precision | None = None,
) -> Measurement:
    """Return the measures of a point cloud, one point a row, as a value that prints and writes itself.

    All is computed in float64 on the device of the points, but for the products of many points (see
    `precision`); gradients are cut (the functions in `conescope.measures` keep them).

    Args:
        points: floating point, of shape (n, d); or files of points (a path, a folder, a glob pattern, or
            several of these); or a state, from `conescope.scale.scan`, or files of states.
        labels: one a point: integers, or any hashable objects in a sequence; for files the name of a column,
            or a file. A state has its own.
        measures: names from `conescope.measures.MEASURES`; None takes all for which there is what they need:
            labels, partners, and installed packages.
        column: of the points in the files, where it is not clear.
        partners: the positive of each point, for `alignment`: of the same shape, or a file.
        sample: measures that look at pairs take at most this many points, drawn without replacement;
            None takes all. Their note says so.
        seed: of that draw, and of the Gaussian cloud.
        intervals: whether to compute them, ten times the work on a sample.
        null: whether to draw and measure a Gaussian cloud of the same size for measures without a formula.
        precision: of the products for the spectrum; None takes double where that takes no time, and single
            for more points. Single tells directions apart down to a millionth of the strongest variance.

    Raises:
        ValueError: for an unknown measure, a row with NaN or infinity, a wrong shape or number of labels,
            missing labels, or a file that can not be read.
        TypeError: if points are not real floating point numbers.

    >>> cross = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> measure(cross, measures=["isoscore", "effective_rank"]).value("effective_rank")
    2.0
    """
    _check_options(sample, seed, precision)
    sample, seed = None if sample is None else int(sample), int(seed)  # not of NumPy's types, which overflow
    if not isinstance(points, State | Tensor | np.ndarray):
        _check_files(points)
        if are_states(points):
            points = state_in(points)
    pairs = None
    if isinstance(points, State):
        if labels is not None or column is not None or partners is not None:
            raise ValueError("a state has its column and labels already, and no partners: leave them out")
        state = points
        order: Literal[1, 2] = 1 if state.moments.scatter is None else 2
        rows = chosen(measures, labels=state.classes is not None, partners=False, order=order)
    elif isinstance(points, Tensor | np.ndarray):
        if column is not None:
            raise ValueError("a column is of files; an array has none")
        cloud = as_points(points)
        given = cast("Classes | None", labels)  # a path is answered by as_labels
        classes = None if given is None else as_labels(given, len(cloud)).to(cloud.device)
        rows = chosen(measures, labels=classes is not None, partners=partners is not None)
        if len(cloud) == 0:
            return _of_nothing(cloud.shape[1], rows)
        pairs = None if partners is None else (cloud, as_partners(partners, cloud))
        state = _state(cloud, classes, rows, sample=sample, seed=seed, precision=precision)
    else:
        if labels is not None and not isinstance(labels, str | os.PathLike):
            raise TypeError("labels of files are the name of a column, or a file")
        rows = chosen(measures, labels=labels is not None, partners=partners is not None)
        scanned = read(
            points,
            rows,
            column=column,
            labels=None if labels is None else os.fspath(labels),
            sample=sample,
            seed=seed,
            precision=precision,
        )
        state = whole(scanned)
        if partners is not None:
            pairs = pairs_of_files(points, partners, column)
    return measurement(state, rows, partners=pairs, seed=seed, intervals=intervals, null=null)


def _check_options(sample: int | None, seed: int, precision: str | None) -> None:
    if sample is not None and not (isinstance(sample, Integral) and sample >= 2):
        raise ValueError(f"sample is a number of rows and at least 2, or None for all rows, got {sample!r}")
    if not (isinstance(seed, Integral) and 0 <= seed < 2**32):
        raise ValueError(f"seed is a whole number from 0 to 2^32 - 1, got {seed!r}")
    if precision not in (None, *get_args(Precision)):
        raise ValueError(f"precision is single, double, or None to choose, got {precision!r}")


def _check_files(points: object) -> None:
    files = points if isinstance(points, Sequence) and not isinstance(points, str) else [points]
    for file in files:
        if not isinstance(file, str | os.PathLike):
            raise TypeError(
                "points are a tensor, an array, a state, a path or several paths, got "
                f"{type(points).__name__}{'' if file is points else f' of {type(file).__name__}'}; "
                "convert numbers with numpy.asarray(points, dtype='float32')"
            )


def _of_nothing(d: int, rows: Sequence[Measure]) -> Measurement:
    return Measurement(
        n=0,
        d=d,
        values=tuple(MeasuredValue(name=row.name, value=None, note=row.undefined) for row in rows),
        notes=("n = 0: there are no points",),
        findings=findings(Seen(n=0, d=d, values={}, coincident=False, zeros=0, repeated=0.0)),
    )


def _state(
    cloud: Points,
    classes: Labels | None,
    rows: Sequence[Measure],
    *,
    sample: int | None,
    seed: int,
    precision: Precision | None,
) -> State:
    n, d = cloud.shape
    names = None if classes is None else tuple(range(int(classes.max()) + 1))
    return state_of(
        cloud,
        classes,
        names,
        order=order_of(rows),
        precision=precision or ("double" if n * d * d <= DOUBLE_WORK else "single"),
        capacity=max(n, 2) if sample is None else sample,
        seed=seed,
        shard=fingerprint(cloud),  # the draw is that of the same points in a file
    )
