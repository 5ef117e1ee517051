"""Which rows of MEASURES are asked for, and what they need."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Literal

from conescope.measures import MEASURES, Measure


def chosen(
    measures: str | Sequence[str] | None, *, labels: bool, partners: bool, order: Literal[1, 2] = 2
) -> list[Measure]:
    """Return the rows of these names, or all that labels, partners and installed packages allow.

    `order` is that of the moments there will be: without names, rows that need more are left out.

    Raises:
        ValueError: for an unknown name, or one for which something is missing.
    """
    there = {"nothing": True, "labels": labels, "partners": partners}
    if measures is None:
        return [
            row
            for row in MEASURES.values()
            if there[row.needs]
            and (not row.package or find_spec(row.package) is not None)
            and order_of([row]) <= order
        ]
    names = list(dict.fromkeys([measures] if isinstance(measures, str) else measures))
    unknown = [name for name in names if name not in MEASURES]
    if unknown or not names:
        wanted = f"there is no measure {unknown[0]!r}" if unknown else "no measure is named"
        raise ValueError(f"{wanted}; there are {', '.join(MEASURES)}")
    rows = [MEASURES[name] for name in names]
    for row in rows:
        if row.needs == "labels" and not labels:
            raise ValueError(f"{row.name} compares points within classes and needs labels, one a point")
        if row.needs == "partners" and not partners:
            raise ValueError(
                f"{row.name} compares each point with its partner and needs partners, one a point"
            )
    return rows


def order_of(rows: Sequence[Measure]) -> Literal[1, 2]:
    """Return the order of the moments that these rows read."""
    return 2 if any(row.order == 2 for row in rows if not row.sampled) else 1
