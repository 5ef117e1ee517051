"""What was measured of one embedding space."""

from html import escape
from typing import Literal

from pydantic import BaseModel, ConfigDict


class MeasuredValue(BaseModel):
    """One measure: its value, or None where it is undefined, and what a reader must know about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: float | None
    note: str = ""


class Measurement(BaseModel):
    """The measures of n points in d dimensions. `notes` hold for all of them, such as n < d."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["conescope.measurement/1"] = "conescope.measurement/1"
    n: int
    d: int
    values: tuple[MeasuredValue, ...]
    notes: tuple[str, ...] = ()

    def value(self, name: str) -> float:
        """Return a measure by name.

        Raises:
            KeyError: naming the measures there are.
            ValueError: saying why the measure is undefined here.
        """
        for measured in self.values:
            if measured.name == name:
                if measured.value is None:
                    raise ValueError(f"{name} is undefined here: {measured.note}")
                return measured.value
        raise KeyError(f"{name} was not measured; there are {', '.join(self.names())}")

    def names(self) -> tuple[str, ...]:
        """Return the names of the measures, in the order of the table."""
        return tuple(measured.name for measured in self.values)

    def __str__(self) -> str:
        width = max((len(name) for name in self.names()), default=0)
        lines = [f"{self.n} points in {self.d} dimensions"]
        for measured in self.values:
            shown = "undefined" if measured.value is None else f"{measured.value:.4f}"
            lines.append(f"{measured.name:<{width}}  {shown:>9}  {measured.note}".rstrip())
        return "\n".join([*lines, *self.notes])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(m.name)}</td><td>{'undefined' if m.value is None else f'{m.value:.4f}'}</td>"
            f"<td>{escape(m.note)}</td></tr>"
            for m in self.values
        )
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"<table><caption>{self.n} points in {self.d} dimensions</caption>{rows}</table>{notes}"
