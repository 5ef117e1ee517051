"""The H0 barcode of one point cloud: at which length which two items join, and which bars count."""

from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

EVERY_BAR = "none"  # in place of a rule: every bar of positive length counts


class SelectedBars(BaseModel):
    """What one rule of selection makes of a barcode: it keeps the `kept` longest bars.

    `entropy` is the persistent entropy of these bars alone, in nats, from 0 to ln(kept), and
    `relative_entropy` that over ln(kept), from 0 to 1. Fewer than two bars have 0. The rule "none" keeps
    every bar of positive length.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    kept: int
    entropy: float
    relative_entropy: float


class Barcode(BaseModel):
    """The n - 1 finite bars of n points in d dimensions, ascending, as edges of a minimum spanning tree.

    Bar i has `lengths[i]` and joins the points `edges[i]`, two numbers from 0 to n - 1. Of a sample, `rows`
    says which rows of the source the points are, where that is known, and `sampled_from` how many it has.
    `ids` are names or texts of the points. `rules` holds every rule of selection, and `selection` the name
    of the one to show first. Without two points there is no bar.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["conescope.barcode/1"] = "conescope.barcode/1"
    title: str = ""
    n: int
    d: int
    sampled_from: int | None = None
    rows: tuple[int, ...] | None = None
    edges: tuple[tuple[int, int], ...]
    lengths: tuple[float, ...]
    ids: tuple[str, ...] | None = None
    selection: str = "recursive"
    rules: tuple[SelectedBars, ...]
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _agrees(self) -> "Barcode":
        bars = max(self.n - 1, 0)
        if len(self.edges) != bars or len(self.lengths) != bars:
            raise ValueError(
                f"{self.n} points have {bars} bars, got {len(self.edges)} edges, {len(self.lengths)} lengths"
            )
        for name, given in (("ids", self.ids), ("rows", self.rows)):
            if given is not None and len(given) != self.n:
                raise ValueError(f"{name} have one entry a point: expected {self.n}, got {len(given)}")
        if any(not 0 <= point < self.n for edge in self.edges for point in edge):
            raise ValueError(f"edges join points from 0 to {self.n - 1}")
        if not all(0 <= one <= other for one, other in pairwise((0.0, *self.lengths))):
            raise ValueError("lengths of bars are not negative, and ascending")
        self.selected()
        return self

    def selected(self, rule: str | None = None) -> SelectedBars:
        """Return what a rule keeps; without a name, the one to show first.

        Raises:
            ValueError: naming the rules there are.
        """
        name = self.selection if rule is None else rule
        for found in self.rules:
            if found.rule == name:
                return found
        names = ", ".join(found.rule for found in self.rules)
        raise ValueError(f"there is no rule {name!r}; there are {names}")

    def longest(self, count: int) -> list[tuple[float, int, int]]:
        """Return the longest bars, longest first, each with the two points that it joins."""
        bars = list(zip(self.lengths, self.edges, strict=True))[: -count - 1 : -1]
        return [(length, *edge) for length, edge in bars]

    def name(self, point: int) -> str:
        """Return the id of a point on one line, or its row where it has none."""
        words = "" if self.ids is None else " ".join(self.ids[point].split())
        return words or f"row {point if self.rows is None else self.rows[point]}"
