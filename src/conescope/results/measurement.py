"""What was measured of one embedding space, and what follows from it."""

from collections.abc import Sequence
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
        lines = [f"{self.n} points in {self.d} dimensions", *_table(self.values), *self.notes]
        lines += [f"{found.level}: {found}" for found in self.findings]
        return "\n".join(map(_plain, lines))

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(text)}</th>" for text in (*COLUMNS, "note"))
        rows = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in (*_cells(m), m.note))}</tr>"
            for m in self.values
        )
        said = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        said += "".join(
            f"<p><b>{escape(found.level)}</b> {escape(str(found))}</p>" for found in self.findings
        )
        caption = f"<caption>{self.n} points in {self.d} dimensions</caption>"
        return f"<table>{caption}<tr>{head}</tr>{rows}</table>{said}"


COLUMNS = ("measure", "value", "95 % interval", "isotropic")


def _table(values: Sequence[MeasuredValue]) -> list[str]:
    """Return a line for each value below a header, in columns; those without a number are left out."""
    cells = [COLUMNS, *map(_cells, values)]
    shown = [place for place in range(1, len(COLUMNS)) if any(row[place] for row in cells[1:])]
    widths = [max(len(row[place]) for row in cells) for place in range(len(COLUMNS))]
    lines = []
    for row, note in zip(cells, ["note", *(measured.note for measured in values)], strict=True):
        numbers = [f"{row[place]:>{widths[place]}}" for place in shown]
        lines.append("  ".join([f"{row[0]:<{widths[0]}}", *numbers, note]).rstrip())
    return lines if values else []


def _cells(measured: MeasuredValue) -> tuple[str, str, str, str]:
    interval = ""
    if measured.low is not None and measured.high is not None:
        interval = f"[{_number(measured.low)}, {_number(measured.high)}]"
    value = "undefined" if measured.value is None else _number(measured.value)
    isotropic = "" if measured.isotropic is None else _number(measured.isotropic)
    return measured.name, value, interval, isotropic


def _number(value: float) -> str:
    """Return a number with four decimals, or, where these say little, with three digits."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.3g}"


def _plain(text: str) -> str:
    """Return a text of others for the terminal: control characters as escapes that can be read."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
