"""What was measured of one embedding space, and what follows from it."""

from html import escape
from typing import Literal

from pydantic import BaseModel, ConfigDict

Level = Literal["collapsed", "unknown", "look", "healthy"]


class MeasuredValue(BaseModel):
    """One measure: its value, or None where it is undefined, and what a reader must know about it.

    `low` and `high` are the ends of a 95 % interval. `isotropic` is what as many points of an isotropic
    Gaussian give, by formula or measured on one. `healthy` is the range in which nothing needs to be done,
    where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: float | None
    note: str = ""
    low: float | None = None
    high: float | None = None
    isotropic: float | None = None
    healthy: tuple[float | None, float | None] | None = None  # None: no bound on that side


class Finding(BaseModel):
    """Something that stands out: what was seen, why, what to do, and how to tell that it helped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Level
    title: str
    evidence: str
    cause: str = ""
    fix: str = ""
    verify: str = ""

    def __str__(self) -> str:
        parts = [f"{self.title}: {self.evidence}."]
        parts += [
            f"{word}: {text}."
            for word, text in (
                ("Likely cause", self.cause),
                ("Smallest fix", self.fix),
                ("Verify", self.verify),
            )
            if text
        ]
        return " ".join(parts)


class Measurement(BaseModel):
    """The measures of n points in d dimensions, and the verdict.

    `notes` are facts that hold for all measures, such as n < d. `findings` say what stands out, gravest
    first; there is always at least one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["conescope.measurement/1", "conescope.measurement/2"] = "conescope.measurement/2"
    n: int
    d: int
    sampled: int | None = None  # points on which pairs were looked at, if not all
    values: tuple[MeasuredValue, ...]
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    def value(self, name: str) -> float:
        """Return a measure by name.

        Raises:
            KeyError: naming the measures there are.
            ValueError: saying why the measure is undefined here.
        """
        measured = self.measured(name)
        if measured.value is None:
            raise ValueError(f"{name} is undefined here: {measured.note}")
        return measured.value

    def measured(self, name: str) -> MeasuredValue:
        """Return a measure by name, with its interval and what to compare it with.

        Raises:
            KeyError: naming the measures there are.
        """
        for measured in self.values:
            if measured.name == name:
                return measured
        raise KeyError(f"{name} was not measured; there are {', '.join(self.names())}")

    def names(self) -> tuple[str, ...]:
        """Return the names of the measures, in the order of the table."""
        return tuple(measured.name for measured in self.values)

    def __str__(self) -> str:
        width = max((len(name) for name in self.names()), default=0)
        lines = [f"{self.n} points in {self.d} dimensions"]
        for measured in self.values:
            shown = "undefined" if measured.value is None else f"{measured.value:.4f}"
            lines.append(
                f"{measured.name:<{width}}  {shown:>9}  {_interval(measured)}{measured.note}".rstrip()
            )
        return "\n".join([*lines, *self.notes, *(f"{found.level}: {found}" for found in self.findings)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(m.name)}</td><td>{'undefined' if m.value is None else f'{m.value:.4f}'}</td>"
            f"<td>{escape(_interval(m))}</td><td>{escape(m.note)}</td></tr>"
            for m in self.values
        )
        said = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        said += "".join(
            f"<p><b>{escape(found.level)}</b> {escape(str(found))}</p>" for found in self.findings
        )
        return f"<table><caption>{self.n} points in {self.d} dimensions</caption>{rows}</table>{said}"


def _interval(measured: MeasuredValue) -> str:
    if measured.low is None or measured.high is None:
        return ""
    return f"[{measured.low:.4f}, {measured.high:.4f}]  "
