"""`conescope.compare`: the same measures of several spaces, and what differs beyond noise."""

import json
import math
import os
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from pydantic import ValidationError

from conescope.results import ComparedValue, Comparison, MeasuredValue, Measurement
from conescope.results.comparison import Outcome
from conescope.scale.moments import Precision
from conescope.scale.state import State
from conescope.survey.inputs import Cloud, Where
from conescope.survey.measure import measure
from conescope.survey.reading import are_states, state_in

PROFILE = "conescope.profile/"  # begins the schema version of a profile
ROUNDING = 1e-9  # relative difference that no interval needs to explain


def compare(
    *spaces: Cloud | State | Where | Measurement,
    names: Sequence[str] | None = None,
    measures: str | Sequence[str] | None = None,
    column: str | None = None,
    labels: str | None = None,
    sample: int | None = 2048,
    seed: int = 0,
    precision: Precision | None = None,
    stage: Callable[[str], None] | None = None,
) -> Comparison:
    """Return measurements of two or more spaces, and how the others differ from the first.

    Args:
        spaces: whatever `measure` takes, or measurements; paths that end in .json are read as measurements.
        names: of the spaces; by default those of the files, or "space 1", "space 2", ...
        measures: as for `measure`.
        column: of the points, in files.
        labels: name of a column of labels, in files.
        sample: as for `measure`; the same for all spaces, as neighborhoods depend on the number of points.
        seed: as for `measure`.
        precision: as for `measure`.
        stage: is called with the name of each space before it is measured.

    Raises:
        ValueError: for fewer than two spaces, names that repeat or do not fit, spaces without a measure in
            common, a file that is no measurement, and as `measure` does.

    >>> import torch
    >>> axes = torch.eye(3).repeat(20, 1)
    >>> found = compare(axes, axes + 1, measures=["mean_cosine"], names=["plain", "moved"])
    >>> found.difference("mean_cosine", "moved").outcome
    'higher'
    """
    _check_number(len(spaces))
    found: dict[str, Measurement] = {}
    for name, space in zip(names_of(spaces, names), spaces, strict=True):
        if stage is not None:
            stage(name)
        if isinstance(space, str | os.PathLike) and Path(space).suffix == ".json":
            space = stored(space)
        elif isinstance(space, str | os.PathLike) and are_states(space):
            space = state_in(space)  # with labels of its own
        if isinstance(space, Measurement):
            found[name] = _of_these(space, measures, name)
            continue
        files = isinstance(space, str | os.PathLike)
        found[name] = measure(
            space,
            labels if files else None,
            measures,
            column=column if files else None,
            sample=sample,
            seed=seed,
            precision=precision,
        )
    return comparison(found)


def comparison(spaces: dict[str, Measurement]) -> Comparison:
    """Return the comparison of measurements that were made before.

    Raises:
        ValueError: for fewer than two, or if they have no measure in common.
    """
    _check_number(len(spaces))
    (_, first), *others = spaces.items()
    differences = [
        compared(name, space, first.measured(name), other.measured(name))
        for space, other in others
        for name in first.names()
        if name in other.names()
    ]
    found = Comparison(spaces=spaces, differences=tuple(differences), notes=tuple(_notes(spaces)))
    if not found.names():
        each = "; ".join(f"{name} has {', '.join(space.names())}" for name, space in spaces.items())
        raise ValueError(f"the spaces must have a measure in common: {each}")
    return found


def stored(file: Where) -> Measurement:
    """Return the measurement in a JSON file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds anything else.
    """
    path = Path(file)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        return Measurement.model_validate_json(path.read_bytes())
    except ValidationError as problem:
        if is_profile(path):
            raise ValueError(
                f"{path} is a profile of layers and can not be compared with a space: give profiles alone, "
                "or the points of one layer"
            ) from None
        first = problem.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise ValueError(
            f"{path} is not a measurement of this version of conescope ({where}: {first['msg']}); make it "
            "with conescope measure --json"
        ) from None


def is_profile(space: object) -> bool:
    """Return whether this is the path of a JSON file with the profile of a model."""
    if not isinstance(space, str | os.PathLike) or Path(space).suffix != ".json" or not Path(space).is_file():
        return False
    try:
        found = json.loads(Path(space).read_bytes())
    except ValueError:  # no JSON, or no text at all
        return False
    return isinstance(found, dict) and str(found.get("schema_version")).startswith(PROFILE)


def _of_these(found: Measurement, measures: str | Sequence[str] | None, name: str) -> Measurement:
    """Return a measurement with these measures only, in this order."""
    if measures is None:
        return found
    wanted = dict.fromkeys([measures] if isinstance(measures, str) else measures)
    missing = [measure for measure in wanted if measure not in found.names()]
    if missing:
        raise ValueError(f"{name} was measured without {missing[0]}; it has {', '.join(found.names())}")
    return found.model_copy(update={"values": tuple(found.measured(measure) for measure in wanted)})


def compared(name: str, space: str, first: MeasuredValue, other: MeasuredValue) -> ComparedValue:
    """Return how a measure of a space differs from that of the first one, and whether beyond noise.

    The half widths of both intervals are added in quadrature. A difference within the interval of one is
    noise whatever the other's; beyond it, it is not known where one of the two has no interval.
    """
    if first.value is None or other.value is None or not math.isfinite(other.value - first.value):
        return ComparedValue(measure=name, space=space, difference=None, outcome="not known")
    difference = other.value - first.value
    # noise of both is no less than that of one, so a difference within one interval needs no second
    halves = [half for half in map(_half, (first, other)) if half is not None]
    known = len(halves) == 2
    half = math.hypot(*halves)
    outcome: Outcome = "higher" if difference > 0 else "lower"
    if math.isclose(first.value, other.value, rel_tol=ROUNDING, abs_tol=1e-14) or abs(difference) <= half:
        outcome = "within noise"
    elif not known:
        outcome = "not known"
    return ComparedValue(
        measure=name,
        space=space,
        difference=difference,
        low=difference - half if known else None,
        high=difference + half if known else None,
        outcome=outcome,
    )


def _half(measured: MeasuredValue) -> float | None:
    """Return the half width of an interval, the longer one where a bound of the measure cuts it."""
    if measured.value is None or measured.low is None or measured.high is None:
        return None
    return max(measured.value - measured.low, measured.high - measured.value)


def _notes(spaces: dict[str, Measurement]) -> list[str]:
    notes = []
    measured = [space.names() for space in spaces.values()]
    everywhere = set(measured[0]).intersection(*measured[1:])
    apart = dict.fromkeys(name for names in measured for name in names if name not in everywhere)
    if apart:
        notes.append(f"measured in some of the spaces only, and left out here: {', '.join(apart)}")
    bare = [name for name, space in spaces.items() if all(value.low is None for value in space.values)]
    if bare:
        notes.append(
            f"no intervals, so that noise is not known: {', '.join(bare)}; counts and extremes have none, "
            "and other measures need 20 points or more, and no --quick"
        )
    at_hand = {space.sampled or space.n for space in spaces.values()}
    if len(at_hand) > 1:
        notes.append(
            f"neighbors, bars and cells were looked at on {' and '.join(map(str, sorted(at_hand)))} points: "
            "values that go with the number of points can not be compared; give the smallest one as sample"
        )
    dimensions = {space.d for space in spaces.values()}
    if len(dimensions) > 1:
        notes.append(
            f"the spaces have {' and '.join(map(str, sorted(dimensions)))} dimensions: compare shares "
            "(isoscore, effective_rank over d), or each value with the isotropic one that conescope measure "
            "shows beside it"
        )
    few = [name for name, space in spaces.items() if space.n < space.d]
    if few:
        notes.append(f"fewer points than dimensions: {', '.join(few)}")
    return notes


def _check_number(spaces: int) -> None:
    if spaces < 2:
        raise ValueError(f"a comparison needs two spaces or more, got {spaces}")


def names_of(spaces: Sequence[object], names: Sequence[str] | None = None) -> list[str]:
    """Return a name for each space, all different: file names, or paths, with a number if they repeat.

    Raises:
        ValueError: if the names that are given repeat or do not fit.
    """
    if names is not None:
        if len(names) != len(spaces) or len(set(names)) != len(names):
            raise ValueError(
                f"names are different and one a space: {len(spaces)} spaces, got {', '.join(names)}"
            )
        return list(names)
    files = [Path(space) if isinstance(space, str | os.PathLike) else None for space in spaces]
    called = [(file.name or str(file)) if file else f"space {number}" for number, file in enumerate(files, 1)]
    if len(set(called)) < len(called):
        called = [str(file) if file else name for file, name in zip(files, called, strict=True)]
    different: list[str] = []
    for name in called:
        numbered = (f"{name} ({number})" for number in count(2))
        free = (again for again in numbered if again not in called and again not in different)
        different.append(next(free) if name in different else name)
    return different
