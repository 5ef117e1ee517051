"""Several embedding spaces side by side, and which differences exceed their intervals."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from conescope.results.measurement import MeasuredValue, Measurement

Outcome = Literal["higher", "lower", "within noise", "not known"]


class ComparedValue(BaseModel):
    """A measure of one space against that of the first: their difference, its interval, and the outcome.

    The interval is as wide as the root of the sum of the squared half widths of both values. "not known"
    is what is undefined in one of the spaces, or has no interval to tell noise by.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: str
    space: str
    difference: float | None
    low: float | None = None
    high: float | None = None
    outcome: Outcome


class Comparison(BaseModel):
    """Measurements of several spaces by name; differences are taken from the first one.

    The intervals treat the spaces as drawn independently. For two models of the same texts that is as a rule
    too wide rather than too narrow.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["conescope.comparison/1"] = "conescope.comparison/1"
    spaces: dict[str, Measurement]
    differences: tuple[ComparedValue, ...]
    notes: tuple[str, ...] = ()

    def difference(self, measure: str, space: str) -> ComparedValue:
        """Return how a measure of a space differs from that of the first.

        Raises:
            KeyError: if there is no such pair.
        """
        for compared in self.differences:
            if (compared.measure, compared.space) == (measure, space):
                return compared
        raise KeyError(f"{measure} of {space} was not compared; spaces are {', '.join(self.spaces)}")

    def measured(self, measure: str) -> tuple[MeasuredValue, ...]:
        """Return a measure in all spaces."""
        return tuple(space.measured(measure) for space in self.spaces.values())

    def names(self) -> tuple[str, ...]:
        """Return the measures that all spaces have."""
        first, *others = self.spaces.values()
        return tuple(name for name in first.names() if all(name in other.names() for other in others))

    def __str__(self) -> str:
        width = max(map(len, self.names()), default=0)
        columns = {name: max(len(name), 24) for name in self.spaces}
        lines = [f"{'':<{width}}  " + "  ".join(f"{name:>{room}}" for name, room in columns.items())]
        for name in self.names():
            cells = [f"{_cell(self, name, space):>{room}}" for space, room in columns.items()]
            lines.append(f"{name:<{width}}  " + "  ".join(cells))
        return "\n".join([*lines, *self.notes])


def _cell(comparison: Comparison, name: str, space: str) -> str:
    value = comparison.spaces[space].measured(name).value
    if value is None:
        return "undefined"
    if space == next(iter(comparison.spaces)):
        return f"{value:.4f}"
    return f"{value:.4f} {comparison.difference(name, space).outcome}"
